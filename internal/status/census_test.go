package status_test

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"tlsratchet/internal/status"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// TestCensus counts a memory by kind, pinned or not, and names those that never
// encrypt.
func TestCensus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := tlsstate.DayOf(time.Now())
		rule := tlsstate.DefaultPolicy()
		m := store.NewMemory(1000)
		teach := func(id tlsstate.Identity, level tlsstate.Level, days int) {
			for ago := days - 1; ago >= 0; ago-- {
				day := now - tlsstate.Day(ago)
				if _, err := m.Update(id, netip.Addr{}, day, func(h tlsstate.History) tlsstate.History {
					_, h = tlsstate.Judge(h, tlsstate.Observation{Day: day, Security: tlsstate.Security{Level: level}}, &rule)
					return h
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
		teach(address("192.0.2.1"), tlsstate.TLS13, 10)
		teach(address("192.0.2.2"), tlsstate.TLS13, 2)
		teach(domain("bank.example"), tlsstate.TLS12, 10)
		teach(tlsstate.Identity{Kind: tlsstate.Listener, Name: "127.0.0.1:25"}, tlsstate.Plaintext, 9)
		for i := range 30 {
			teach(domain(fmt.Sprintf("plain%02d.example", i)), tlsstate.Plaintext, i+1)
		}
		if _, err := m.Update(domain("gone.example"), netip.Addr{}, now-1, func(h tlsstate.History) tlsstate.History {
			for ago := range tlsstate.Day(30) { // as often as the first, and not today
				_, h = tlsstate.Judge(h, tlsstate.Observation{Day: now - 30 + ago}, &rule)
			}
			return h
		}); err != nil {
			t.Fatal(err)
		}
		teach(domain("both.example"), tlsstate.Plaintext, 60)
		teach(domain("both.example"), tlsstate.TLS12, 1)
		if _, err := m.Update(domain("forgotten.example"), netip.Addr{}, now, func(h tlsstate.History) tlsstate.History { return h.Forget(now) }); err != nil {
			t.Fatal(err)
		}

		c := census(m.All, rules(t))
		if err := c.Count(t.Context()); err != nil {
			t.Fatal(err)
		}
		n := c.Last()
		if n.At.IsZero() || n.Known != [8]int{0, 2, 33, 0, 1} || n.Pinned != [8]int{0, 1, 1, 0, 0} {
			t.Errorf("%+v", n)
		}
		if len(n.Plain) != 20 || n.Plain[0].Identity.Name != "plain29.example" || n.Plain[0].Days != 30 || n.Plain[1].Identity.Name != "gone.example" || n.Plain[19].Days != 12 || n.Plain[0].Last != now {
			t.Errorf("%+v", n.Plain)
		}
		teach(address("192.0.2.3"), tlsstate.TLS13, 1)
		if err := c.Count(t.Context()); err != nil {
			t.Fatal(err)
		}
		if again := c.Last(); again.Known[tlsstate.Address] != 3 {
			t.Errorf("%+v", again)
		}
	})
}

func census(all func(tlsstate.Identity) (iter.Seq2[tlsstate.Identity, tlsstate.History], func() error), r *tlsstate.Rules) *status.Census {
	return &status.Census{All: all, Rules: func(tlsstate.Kind) *tlsstate.Rules { return r }}
}

// TestCensusFails: a walk that fails leaves the count before.
func TestCensusFails(t *testing.T) {
	broken := false
	c := census(func(tlsstate.Identity) (iter.Seq2[tlsstate.Identity, tlsstate.History], func() error) {
		one := func(yield func(tlsstate.Identity, tlsstate.History) bool) {
			yield(address("192.0.2.1"), tlsstate.History{First: 1, Last: 1})
		}
		if broken {
			return one, func() error { return errors.New("disk gone") }
		}
		return one, func() error { return nil }
	}, rules(t))
	if err := c.Count(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := c.Last()
	broken = true
	if err := c.Count(t.Context()); err == nil {
		t.Error("no error of a disk that is gone")
	}
	if last := c.Last(); first.Known[tlsstate.Address] != 1 || last.At != first.At {
		t.Errorf("%+v, then %+v", first, last)
	}
}
