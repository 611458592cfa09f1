package spf

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"tlsratchet/internal/peer/spf/resolver"
)

// TestAddressesOfBothKinds: of a host that has only one kind of address the other
// is no failure. Where DNS fails for one kind nothing is known.
func TestAddressesOfBothKinds(t *testing.T) {
	four4 := outcome{Answer: resolver.Answer{Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.10")}}}
	six6 := outcome{Answer: resolver.Answer{Addrs: []netip.Addr{netip.MustParseAddr("2001:db8::10")}}}
	none, failed := outcome{err: resolver.ErrNotFound}, outcome{err: resolver.ErrFailed}
	for _, tt := range []struct {
		name     string
		a, aaaa  outcome
		found    int
		err, not bool
	}{
		{"both", four4, six6, 2, false, false},
		{"IPv6 alone", none, six6, 1, false, false},
		{"IPv4 alone", four4, none, 1, false, false},
		{"neither", none, none, 0, true, true},
		{"no answer for IPv4", failed, six6, 1, true, false},
		{"no answer for IPv6", four4, failed, 1, true, false},
	} {
		p := newProof(nil, netip.MustParseAddr("2001:db8::1"), func() bool { return true })
		for kind, o := range map[resolver.Type]outcome{resolver.TypeA: tt.a, resolver.TypeAAAA: tt.aaaa} {
			q, err := resolver.Ask("host.example", kind)
			if err != nil {
				t.Fatal(err)
			}
			p.answers[q] = o
		}
		ips, err := p.LookupIPAddr(t.Context(), "host.example")
		var dns *net.DNSError
		if errors.As(err, &dns) != tt.err || tt.err && dns.IsNotFound != tt.not || len(ips) != tt.found {
			t.Errorf("%s: %v, %v", tt.name, ips, err)
		}
	}
}

// TestQuestionsOfAProof: thirty, and none that a limit forbids.
func TestQuestionsOfAProof(t *testing.T) {
	asked := 0
	p := newProof(nil, netip.MustParseAddr("192.0.2.1"), func() bool { asked++; return asked != 3 })
	n := 0
	for range 100 {
		if p.mayAsk() {
			n++
		}
	}
	if n != maxQuestions || asked != maxQuestions+1 {
		t.Errorf("%d questions, %d times allowed or not", n, asked)
	}
}

// TestNamesOfAStranger: the second evaluation asks for no names, and what is no
// address has none.
func TestNamesOfAStranger(t *testing.T) {
	p := newProof(nil, netip.MustParseAddr("192.0.2.1"), func() bool { t.Error("asked"); return false })
	for _, addr := range []string{"no address", "192.0.2.1"} {
		if names, err := p.LookupAddr(t.Context(), addr); err == nil || len(names) > 0 {
			t.Errorf("%s: %v, %v", addr, names, err)
		}
		p.again = true
	}
}
