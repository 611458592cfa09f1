package spf

import (
	"net/netip"
	"testing"
	"time"

	"tlsratchet/internal/peer"
)

// FuzzRecords: no record makes a proof panic, ask for more than it may, or prove
// an address together with one that is outside of the widest range.
func FuzzRecords(f *testing.F) {
	for _, record := range []string{"ip4:192.0.2.10 -all", "a mx ptr exists:%{ir}.%{v}._spf.%{d2} redirect=inner.example", "+all", "ip4:192.0.2.0/15",
		"include:inner.example ?all", "exists:%{l1r-}.x include:bank.example", "ip4:192.0.2.10/ ip6:::/0", "a:%{h}//33 mx/0", "exp=%{x}"} {
		f.Add(record, "ip4:192.0.2.0/24 include:bank.example")
	}
	f.Fuzz(func(t *testing.T, record, inner string) {
		w := &world{ttl: time.Hour, records: map[string]string{"bank.example": "v=spf1 " + record, "inner.example": "v=spf1 " + inner}}
		o := DefaultOptions()
		o.NetworkBurst, o.UnknownBurst = 1000, 1000
		p, _ := w.start(t, o)
		defer p.Close()
		here, there := claim(t, four, "bank"), claim(t, flipped(netip.MustParseAddr(four)).String(), "bank")
		first := p.Prove(t.Context(), here)
		if n := w.questions(); n > maxQuestions {
			t.Errorf("%d questions", n)
		}
		second := p.Prove(t.Context(), there)
		if first == Failed || second == Failed {
			t.Fatalf("%q, %q: %v, %v", record, inner, first, second)
		}
		if first == Proven && second == Proven {
			t.Errorf("%q, %q prove %v and %v", record, inner, peer.Network(here.ip), peer.Network(there.ip))
		}
	})
}
