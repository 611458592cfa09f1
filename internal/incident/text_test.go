package incident

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

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
	i.Done[tlsstate.Header] = 1
	for n := range MaxHeld {
		i.Held = append(i.Held, Held{QueueID: fmt.Sprint("4XyZ", n)})
		i.From = appendNew(i.From, fmt.Sprint(n, ".example"), MaxFrom)
	}
	var b bytes.Buffer
	i.Write(&b)
	for _, want := range []string{" header 1, 1 ended before the action", "open, reopened 1 time\n", " unknown[192.0.2.0]\n", " mx.bank.example[192.0.2.1]\n", "and possibly others"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if n := strings.Count(b.String(), "and possibly others"); n != 3 {
		t.Errorf("%d lists may not be all, want 3:\n%s", n, b.String())
	}
	i.Clients = i.Clients[1:]
	if text := strings.Join(i.Facts()[5].Values, ", "); strings.Contains(text, "others") {
		t.Errorf("there are no others: %s", text)
	}
}

// TestWriteClosed: an end, what the configuration requires, and a destination.
func TestWriteClosed(t *testing.T) {
	at := time.Date(2026, 9, 21, 12, 34, 56, 0, time.UTC)
	i := Incident{
		ID: 17, Identity: tlsstate.Identity{Kind: tlsstate.Destination, Name: "bank.example"}, Kind: tlsstate.Stripped, Words: "it came in clear", Messages: 1,
		Opened: at, Last: at, Closed: at, ClosedBy: Quiet, Evidence: Evidence{Pin: tlsstate.TLS12, Last: 20700, Days: 5}, Clients: []Client{{Address: "192.0.2.1"}},
	}
	write := func() string {
		var b bytes.Buffer
		i.Write(&b)
		return b.String()
	}
	want := `Incident 17: destination:bank.example answered without TLS
  first message           it came in clear
  state                   closed at 2026-09-21 12:34 UTC: no downgrade for 24 hours
  messages                1 since 2026-09-21 12:34, the last at 2026-09-21 12:34 UTC
  expected                TLSv1.2 or better
  evidence                mail to it met the pin on 5 of the last 64 days, last on 2026-09-04
  its hosts that failed   unknown[192.0.2.1]
`
	if got := write(); got != want {
		t.Errorf("got\n%s", got)
	}
	if i.Evidence.Required = true; !strings.Contains(write(), "none needed, the configuration requires it") {
		t.Error(write())
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
	for what, bad := range map[string]func(*Incident){
		"a number beyond the highest": func(i *Incident) { i.ID++ },
		"a client too many":           func(i *Incident) { i.Clients = append(i.Clients, Client{}) },
		"a sender too many":           func(i *Incident) { i.From = append(i.From, "") },
		"a message held too many":     func(i *Incident) { i.Held = append(i.Held, Held{}) },
		"no identity":                 func(i *Incident) { i.Identity = tlsstate.Identity{} },
	} {
		other := i.clone()
		if bad(&other); other.check() == nil {
			t.Errorf("%s is read", what)
		}
	}
}
