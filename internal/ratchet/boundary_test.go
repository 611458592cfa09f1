package ratchet

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"tlsratchet/tlsstate"
)

var boundaryNoon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

// strip has the n-th of a row of peers come in clear, and returns the action.
func strip(b *Breaker, n int, at time.Time, change func(*Decision)) tlsstate.Action {
	s := &Session{At: at}
	s.Peer.IP = netip.AddrFrom4([4]byte{20, byte(n), 1, 1})
	s.Peer.Domain = tlsstate.Identity{Kind: tlsstate.Domain, Name: fmt.Sprintf("peer%d.example", n)}
	d := &Decision{rule: &tlsstate.Policy{}}
	d.Outcome, d.Kind, d.Action = tlsstate.Downgraded, tlsstate.Stripped, tlsstate.Reject
	d.Identity, d.Since = tlsstate.Identity{Kind: tlsstate.Address, Name: s.Peer.IP.String()}, s.day()-30
	if change != nil {
		change(d)
	}
	b.downgraded(s, d)
	return d.Action
}

func boundaryBreaker(t *testing.T) *Breaker {
	t.Helper()
	b, err := NewBreaker(DefaultBreaker())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestWhatTripsTheBreaker: first-hand pins of some age, of addresses alone, and
// not what a row requires.
func TestWhatTripsTheBreaker(t *testing.T) {
	today := tlsstate.DayOf(boundaryNoon)
	for _, tt := range []struct {
		name   string
		change func(*Decision)
		trips  bool
	}{
		{"addresses", nil, true},
		{"pins of 7 days", func(d *Decision) { d.Since = today - 7 }, true},
		{"pins of 6 days", func(d *Decision) { d.Since = today - 6 }, false},
		{"domains", func(d *Decision) { d.Identity.Kind = tlsstate.Domain }, false},
		{"rows", func(d *Decision) { d.Required = true }, false},
	} {
		b := boundaryBreaker(t)
		for n := range 11 {
			strip(b, n, boundaryNoon, func(d *Decision) {
				d.Action = tlsstate.Header // enforcement befalls nobody: only first-hand pins count
				if tt.change != nil {
					tt.change(d)
				}
			})
		}
		if got := b.answer != Armed; got != tt.trips {
			t.Errorf("%s: %s", tt.name, b.answer)
		}
	}
}

// TestRowsAreNeverLimited: what a row requires keeps its action.
func TestRowsAreNeverLimited(t *testing.T) {
	b, suspended := boundaryBreaker(t), Suspended
	b.Override(&suspended)
	if got := strip(b, 1, boundaryNoon, nil); got != tlsstate.Header {
		t.Errorf("a pin's: %s", got)
	}
	if got := strip(b, 1, boundaryNoon, func(d *Decision) { d.Required = true }); got != tlsstate.Reject {
		t.Errorf("a row's: %s", got)
	}
}

// TestArmsAtHalf: the breaker arms itself once no more than half as many names
// as trip it came within the window.
func TestArmsAtHalf(t *testing.T) {
	for _, tt := range []struct {
		left int
		want Answer
	}{{6, Softened}, {5, Armed}} {
		b := boundaryBreaker(t)
		b.o.SelfCheck = func() (bool, time.Time) { return true, boundaryNoon.Add(time.Second) }
		for n := range 11 {
			at := boundaryNoon
			if n >= 11-tt.left {
				at = at.Add(time.Minute)
			}
			strip(b, n, at, nil)
		}
		if got := b.State(boundaryNoon.Add(10*time.Minute + 30*time.Second)).Answer; got != tt.want {
			t.Errorf("%d left: %s", tt.left, got)
		}
	}
}

// TestClockJump: 30 days ahead of the newest record is written, 31 is not.
func TestClockJump(t *testing.T) {
	for _, tt := range []struct {
		ahead tlsstate.Day
		want  bool
	}{{30, true}, {31, false}} {
		var g clockGuard
		if got := g.writes(20000+tt.ahead, 20000, slog.New(slog.DiscardHandler)); got != tt.want {
			t.Errorf("%d days: %v", tt.ahead, got)
		}
	}
}
