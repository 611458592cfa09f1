package incident

import (
	"bytes"
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
