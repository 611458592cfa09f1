package ratchet_test

import (
	"testing"

	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// An operator's answer holds whatever the breaker finds, outlives a restart, and
// leaves standing wishes alone.
func TestOverride(t *testing.T) {
	newBreaker := func() *ratchet.Breaker { return ratchet.NewBreaker(newInstallation()) }
	reject := tlsstate.Reject
	f, b := newFixture(t, tlsstate.Row{Domain: "strict.example", Subdomains: true, Action: &reject}), newBreaker()
	f.with(func(o *ratchet.Options) { o.Breaker = b })
	strict := bank
	strict.Addr, strict.Name = "203.0.113.20", "mx.strict.example"
	f.pin(t, bank)
	f.pin(t, strict)
	suspended := ratchet.Suspended
	b.Override(&suspended)
	if got := words(f.Decide(session(t, bank, day(6), tlsstate.Plaintext))); got != "address downgrade stripped header" {
		t.Errorf("suspended: %s", got)
	}
	if got := words(f.Decide(session(t, strict, day(6), tlsstate.Plaintext))); got != "address downgrade stripped reject" {
		t.Errorf("a standing wish: %s", got)
	}
	next, state := newBreaker(), b.State(day(6))
	if state.Holds() != ratchet.Suspended || state.Answer != ratchet.Armed {
		t.Errorf("holds %s, found %s", state.Holds(), state.Answer)
	}
	next.Restore(state)
	f.with(func(o *ratchet.Options) { o.Breaker = next })
	if got := words(f.Decide(session(t, bank, day(6), tlsstate.Plaintext))); got != "address downgrade stripped header" {
		t.Errorf("after a restart: %s", got)
	}
	next.Override(nil)
	if got := words(f.Decide(session(t, bank, day(6), tlsstate.Plaintext))); got != "address downgrade stripped tempfail" {
		t.Errorf("let go: %s", got)
	}
}
