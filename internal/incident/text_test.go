package incident

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tlsratchet/tlsstate"
)

// The evidence of a pin that is older than the window.
func TestWriteOldPin(t *testing.T) {
	var b bytes.Buffer
	i := Incident{Identity: tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.10"}, Evidence: Evidence{Pin: tlsstate.TLS12, Since: 20000, Last: 20700}}
	i.Write(&b)
	if want := "met the pin until 2026-09-04, pinned since 2024-10-04\n"; !strings.Contains(b.String(), want) {
		t.Errorf("no %q in\n%s", want, b.String())
	}
}

// What a domain's pin rests on does not state that an address never came with
// TLS: the address itself may be the support, or have had lapses.
func TestStrengthOfDomain(t *testing.T) {
	domain := Incident{Identity: tlsstate.Identity{Kind: tlsstate.Domain, Name: "bank.example"}}
	v := tlsstate.Verdict{Support: tlsstate.SupportItself, Marks: tlsstate.Marks{Networks: 1, Addresses: 3}}
	domain.Evidence = evidence(&v)
	if got := domain.strength(); got != "good, about 2 addresses in 1 network of this domain came with TLS" {
		t.Error(got)
	}
	domain.Evidence.Broad = false
	if got := domain.strength(); got != "weak, only about 2 addresses in 1 network of this domain came with TLS" {
		t.Error(got)
	}
	domain.KnownPlaintext = true
	if got := domain.strength(); got != "weak, other addresses of the domain were seen with TLS, these are known for plaintext" {
		t.Error(got)
	}
}

// TestFactsCount: what happened once is stated, and a full list may not be all.
func TestFactsCount(t *testing.T) {
	i := Incident{Identity: tlsstate.Identity{Kind: tlsstate.Domain, Name: "bank.example"}, Undone: 1, Reopened: 1}
	for n := range MaxClients {
		i.Clients = append(i.Clients, Client{Address: fmt.Sprint("192.0.2.", n)})
	}
	i.Clients[1].Host = "mx.bank.example"
	var b bytes.Buffer
	i.Write(&b)
	for _, want := range []string{"1 ended before the action", "open, reopened 1 time\n", " unknown[192.0.2.0]\n", " mx.bank.example[192.0.2.1]\n", "and possibly others"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	i.Clients = i.Clients[1:]
	if text := strings.Join(i.Facts()[4].Values, ", "); strings.Contains(text, "others") {
		t.Errorf("there are no others: %s", text)
	}
}

// TestFullRecord: an incident whose lists are full is read as it was written.
func TestFullRecord(t *testing.T) {
	i := Incident{ID: 1 << 53, Identity: tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.1"}}
	for n := range MaxHeld {
		i.Held = append(i.Held, Held{QueueID: fmt.Sprint("4XyZ", n)})
		i.From = appendNew(i.From, fmt.Sprint(n, ".example"), MaxFrom)
		i.Clients = appendNew(i.Clients, Client{Address: fmt.Sprint("192.0.2.", n)}, MaxClients)
	}
	b, err := json.Marshal(i)
	if err != nil {
		t.Fatal(err)
	}
	var read Incident
	if err := json.Unmarshal(b, &read); err != nil || len(read.Clients) != MaxClients || len(read.From) != MaxFrom || len(read.Held) != MaxHeld {
		t.Errorf("%v: %+v", err, read)
	}
	i.ID++
	if b, err = json.Marshal(i); err != nil || json.Unmarshal(b, &read) == nil {
		t.Error("a number beyond the highest is read")
	}
}
