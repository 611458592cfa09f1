package ratchet_test

import (
	"context"
	"testing"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/peer/spf"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// notary proves every claim, or none, and learns at once or later.
type notary struct {
	result spf.Result
	asked  int
	later  []func()
}

func (n *notary) Prove(context.Context, spf.Claim) spf.Result { n.asked++; return n.result }
func (n *notary) Tried(spf.Claim) bool                        { return n.result != spf.Proven }
func (n *notary) Learn(_ spf.Claim, learn func()) bool {
	n.later = append(n.later, learn)
	return true
}

// A client of a network where every message comes from another address.
func roaming(host string) peer.Client {
	c := bank
	c.Addr, c.Name, c.Resolve = "192.0.2."+host, "unknown", "FAIL"
	return c
}

func fromBank(s *ratchet.Session) *ratchet.Session {
	s.From = "alice@bank.example"
	return s
}

func TestSender(t *testing.T) {
	for _, tt := range []struct {
		name   string
		result spf.Result
		want   string
		asked  int
	}{
		{"proven: the sender speaks, at most by a header", spf.Proven, "sender downgrade stripped header", 1},
		{"not proven: nobody speaks", spf.NoAnswer, "address new none observe", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, n := newFixture(t), &notary{result: spf.Proven}
			f.with(func(o *ratchet.Options) { o.Senders = n })
			for i := 1; i <= 5; i++ {
				s := fromBank(session(t, roaming(string(rune('0'+i))), day(i), tlsstate.TLS13))
				f.deliver(s)
				*s = ratchet.Session{} // it was only lent
				for _, learn := range n.later {
					learn()
				}
				n.later = nil
			}
			if n.asked != 0 {
				t.Errorf("%d proofs on the path of sessions in good order", n.asked)
			}
			n.result = tt.result
			if got := words(f.deliver(fromBank(session(t, roaming("99"), day(6), tlsstate.Plaintext)))); got != tt.want || n.asked != tt.asked {
				t.Errorf("got %s, want %s; %d proofs, want %d", got, tt.want, n.asked, tt.asked)
			}
			null := session(t, roaming("98"), day(6), tlsstate.Plaintext)
			if got := words(f.deliver(null)); got != "address new none observe" {
				t.Errorf("the null sender: %s", got)
			}
		})
	}
}

// Where the address is a downgrade already, nobody waits for a proof.
func TestSenderIsNotAskedForNothing(t *testing.T) {
	f, n := newFixture(t), &notary{result: spf.Proven}
	f.with(func(o *ratchet.Options) { o.Senders = n })
	for i := 1; i <= 5; i++ {
		f.deliver(fromBank(session(t, bank, day(i), tlsstate.TLS13)))
		for _, learn := range n.later {
			learn()
		}
		n.later = nil
	}
	if got := words(f.deliver(fromBank(session(t, bank, day(6), tlsstate.Plaintext)))); got != "address downgrade stripped tempfail" || n.asked != 0 {
		t.Errorf("got %s, %d proofs", got, n.asked)
	}
}
