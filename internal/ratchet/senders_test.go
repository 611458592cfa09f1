package ratchet_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/peer/spf"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// notary proves every claim, or none, and learns at once or later.
type notary struct {
	result spf.Result
	asked  int
	known  []bool
	later  []func()
}

func (n *notary) Prove(_ context.Context, c spf.Claim) spf.Result {
	n.asked++
	n.known = append(n.known, c.Known)
	return n.result
}

func (n *notary) Tried(spf.Claim) bool { return n.result != spf.Proven }
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

// A claim says whether its sender is known: strangers' are limited first. What a
// sender is known for already today is not proven again.
func TestSenderIsProvenOnce(t *testing.T) {
	f, n := newFixture(t), &notary{result: spf.Proven}
	f.with(func(o *ratchet.Options) { o.Senders = n })
	for i := 1; i <= 5; i++ {
		n.later = nil
		f.deliver(fromBank(session(t, roaming(fmt.Sprint(i)), day(i), tlsstate.TLS13)))
		for _, learn := range n.later {
			learn()
		}
		n.later = nil
		f.deliver(fromBank(session(t, roaming(fmt.Sprint(i)), day(i), tlsstate.TLS13)))
		if len(n.later) != 0 {
			t.Errorf("day %d: proven again", i)
		}
	}
	f.Decide(fromBank(session(t, roaming("99"), day(6), tlsstate.Plaintext)))
	if len(n.known) != 1 || !n.known[0] {
		t.Errorf("claims known: %v", n.known)
	}
}

// Of a sender that comes from several addresses on one day the first two are
// proven: the domain learns that it moves. A third one is not asked for.
func TestSenderThatMovesInADay(t *testing.T) {
	f, n := newFixture(t), &notary{result: spf.Proven}
	f.with(func(o *ratchet.Options) { o.Senders = n })
	for i, want := range []int{1, 1, 0, 0} { // the first address comes again at last
		s := session(t, host([]int{1, 2, 3, 1}[i]), day(1).Add(time.Duration(i)*time.Minute), tlsstate.TLS13)
		s.From = "news@customer.example"
		f.deliver(s)
		proofs := 0
		for _, learn := range n.later {
			before := f.memory.m[tlsstate.Identity{Kind: tlsstate.Sender, Name: "customer.example/pool.example"}]
			learn()
			if f.memory.m[tlsstate.Identity{Kind: tlsstate.Sender, Name: "customer.example/pool.example"}] != before {
				proofs++
			}
		}
		if n.later = nil; proofs != want {
			t.Errorf("session %d: the sender learned %d times, want %d", i, proofs, want)
		}
	}
	if got := f.memory.m[tlsstate.Identity{Kind: tlsstate.Domain, Name: "pool.example"}].Senders; got != tlsstate.SenderMark("customer.example", true) {
		t.Errorf("senders %x", uint64(got))
	}
}

// Where one identity of the client is a downgrade already, that is enough: the
// address without a name, or the domain at an address never seen.
func TestOneDowngradeIsEnough(t *testing.T) {
	nameless := roaming("10")
	moved := bank
	moved.Addr = "203.0.113.7"
	for _, tt := range []struct {
		pinned, comes peer.Client
		want          string
	}{
		{nameless, nameless, "address downgrade stripped tempfail"},
		{bank, moved, "domain downgrade stripped tempfail"},
	} {
		f, n := newFixture(t), &notary{result: spf.Proven}
		f.with(func(o *ratchet.Options) { o.Senders = n })
		for i := 1; i <= 5; i++ {
			f.deliver(fromBank(session(t, tt.pinned, day(i), tlsstate.TLS13)))
			for _, learn := range n.later {
				learn()
			}
			n.later = nil
		}
		if got := words(f.Decide(fromBank(session(t, tt.comes, day(6), tlsstate.Plaintext)))); got != tt.want || n.asked != 0 {
			t.Errorf("got %s, want %s; %d proofs", got, tt.want, n.asked)
		}
	}
}

// What SPF proved and can't be saved is counted as any failure is.
func TestProvenAndNotSaved(t *testing.T) {
	f, n := newFixture(t), &notary{result: spf.Proven}
	f.with(func(o *ratchet.Options) { o.Senders = n })
	f.deliver(fromBank(session(t, bank, day(1), tlsstate.TLS13)))
	if len(n.later) != 2 || f.Failures() != 0 {
		t.Fatalf("%d to learn, %d failures", len(n.later), f.Failures())
	}
	for i, learn := range n.later {
		f.memory.update = func(tlsstate.Identity) error { return errors.New("disk gone") }
		if learn(); f.Failures() != uint64(i+1) {
			t.Errorf("%d failures after %d", f.Failures(), i+1)
		}
		f.memory.update = nil
		if learn(); f.Failures() != uint64(i+1) {
			t.Errorf("%d failures where it was saved", f.Failures())
		}
	}
}
