package ratchet_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

func TestNoBreaker(t *testing.T) {
	f := newFixture(t)
	all := crowd(15)
	for _, c := range all {
		f.pin(t, c)
	}
	for _, c := range all {
		if d := f.deliver(session(t, c, day(20), tlsstate.Plaintext)); d.Action != tlsstate.Tempfail || d.Breaker != ratchet.Armed {
			t.Errorf("without one: %s %s", d.Action, d.Breaker)
		}
	}
	var none *ratchet.Breaker
	if s := none.State(day(1)); s.Answer != ratchet.Armed {
		t.Errorf("none is %s", s.Answer)
	}
}

// TestBreakerLaws holds whatever comes, in whatever order: it never makes an
// action stronger, never refuses more than it would alone, its memory is
// bounded, the operator's wishes stand, and up to ten names it does nothing.
func TestBreakerLaws(t *testing.T) {
	wished := tlsstate.Row{Network: netip.MustParsePrefix("20.0.7.0/24"), Action: ptr(tlsstate.Reject)}
	rapid.Check(t, func(rt *rapid.T) {
		f := newBreakerFixture(t, rapid.SampledFrom([]tlsstate.Action{tlsstate.Header, tlsstate.Tempfail, tlsstate.Reject}).Draw(rt, "action"), wished)
		alone := newFixture(t, wished)
		same, err := tlsstate.NewRules(f.policy, []tlsstate.Row{wished})
		if err != nil {
			rt.Fatal(err)
		}
		alone.SetRules(same)
		all := crowd(rapid.IntRange(1, 14).Draw(rt, "peers"))
		for _, c := range all {
			f.pin(t, c)
			alone.pin(t, c)
		}
		at, seen, failed := day(15), map[int]bool{}, false
		for range rapid.IntRange(1, 40).Draw(rt, "sessions") {
			at = at.Add(time.Duration(rapid.IntRange(-600, 1800).Draw(rt, "seconds")) * time.Second)
			i := rapid.IntRange(0, len(all)-1).Draw(rt, "peer")
			f.check = check{rapid.Bool().Draw(rt, "works"), at.Add(-time.Duration(rapid.IntRange(0, 7200).Draw(rt, "age")) * time.Second)}
			failed = failed || f.fails(at)
			s := session(t, all[i], at, rapid.SampledFrom([]tlsstate.Level{tlsstate.Plaintext, tlsstate.TLS13}).Draw(rt, "level"))
			d, want := f.Decide(s), alone.Decide(s)
			if d.Outcome != tlsstate.Downgraded {
				continue
			}
			seen[i] = true
			switch {
			case d.Action > want.Action:
				rt.Fatalf("made %s of %s", d.Action, want.Action)
			case i == 7 && d.Action != tlsstate.Reject:
				rt.Fatalf("the operator's wish became %s", d.Action)
			case len(seen) <= 10 && d.Action != want.Action && d.Breaker != ratchet.Excused && !failed:
				rt.Fatalf("%d names made %s of %s", len(seen), d.Action, want.Action)
			}
			if got := f.State(at); len(got.Recent) > 11 || len(got.Silent) > 11 || len(got.Delayed) > 11 {
				rt.Fatalf("remembers %d, %d, %d names", len(got.Recent), len(got.Silent), len(got.Delayed))
			}
		}
	})
}

// fails reports whether the self-check says that our own TLS is broken.
func (f *breakerFixture) fails(at time.Time) bool {
	return !f.check.works && !f.check.at.IsZero() && at.Sub(f.check.at).Abs() <= time.Hour
}

// TestBreakerTogether lets many sessions meet it at the same time.
func TestBreakerTogether(t *testing.T) {
	f := newBreakerFixture(t, tlsstate.Tempfail)
	f.changes = nil
	all := crowd(30)
	f.pinAll(t, all)
	b := ratchet.NewBreaker(newInstallation())
	f.with(func(o *ratchet.Options) { o.Breaker = b })
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i, c := range all {
				level := tlsstate.Plaintext
				if (i+g)%3 == 0 {
					level = tlsstate.TLS13
				}
				f.Decide(session(t, c, day(20).Add(time.Duration(i)*time.Second), level))
				b.State(day(20))
			}
		})
	}
	wg.Wait()
}

func BenchmarkDecideBreaker(b *testing.B) {
	f := newBreakerFixture(b, tlsstate.Tempfail)
	f.pin(b, bank)
	s := session(b, bank, day(6), tlsstate.TLS13)
	b.ReportAllocs()
	for b.Loop() {
		f.Decide(s)
	}
}
