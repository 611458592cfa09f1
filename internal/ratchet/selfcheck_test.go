package ratchet

import (
	"fmt"
	"testing"
	"time"

	"tlsratchet/tlsstate"
)

// TestOneOutageOfOurs: what fails again within an hour is the same outage, and
// who came in clear since it began is excused for three days after it.
func TestOneOutageOfOurs(t *testing.T) {
	for gap, began := range map[time.Duration]time.Time{
		time.Hour:               boundaryNoon,
		time.Hour + time.Second: boundaryNoon.Add(time.Hour + time.Second),
	} {
		b := boundaryBreaker()
		checked := boundaryNoon
		b.o.SelfCheck = func() (bool, time.Time) { return false, checked }
		strip(b, 1, boundaryNoon, nil)
		encrypted(b, boundaryNoon)
		b.s.BrokenTo = boundaryNoon
		checked = boundaryNoon.Add(gap)
		strip(b, 2, checked, nil)
		s := b.State(checked)
		if !s.BrokenFrom.Equal(began) || !s.BrokenTo.Equal(checked) {
			t.Errorf("failed again after %s: broken from %s to %s", gap, s.BrokenFrom, s.BrokenTo)
		}
	}
}

func TestExcused(t *testing.T) {
	today := tlsstate.DayOf(boundaryNoon)
	for _, tt := range []struct {
		name  string
		after time.Duration
		kind  tlsstate.Downgrade
		last  tlsstate.Day
		want  tlsstate.Action
	}{
		{"a second less than three days after it", 72*time.Hour - time.Second, tlsstate.Stripped, today, tlsstate.Header},
		{"three days after it", 72 * time.Hour, tlsstate.Stripped, today, tlsstate.Reject},
		{"weakened", time.Hour, tlsstate.Weakened, today, tlsstate.Reject},
		{"encrypted since", 48 * time.Hour, tlsstate.Stripped, today + 1, tlsstate.Reject},
		{"the clock went back before it", -time.Second, tlsstate.Stripped, today, tlsstate.Reject},
	} {
		b := boundaryBreaker()
		b.s.BrokenFrom, b.s.BrokenTo = boundaryNoon, boundaryNoon
		if got := strip(b, 1, boundaryNoon.Add(tt.after), func(d *Decision) { d.Kind, d.Last = tt.kind, tt.last }); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestRestored: names that were silent at the stop are forgotten at the first
// encrypted session, and the first downgrade begins anew where there were none.
func TestRestored(t *testing.T) {
	b := boundaryBreaker()
	n := BreakerName{Name: "bank.example", Network: "192.0.2.0/24", At: boundaryNoon}
	b.Restore(BreakerState{Silent: []BreakerName{n}, Began: boundaryNoon})
	encrypted(b, boundaryNoon)
	if got := b.State(boundaryNoon); len(got.Silent) != 0 {
		t.Errorf("silent still: %v", got.Silent)
	}
	later := boundaryNoon.Add(time.Hour)
	b = boundaryBreaker()
	b.Restore(BreakerState{Began: boundaryNoon})
	if strip(b, 1, later, nil); !b.s.Began.Equal(later) {
		t.Errorf("began %s", b.s.Began)
	}
	var silent []BreakerName
	for i := range 11 {
		silent = append(silent, BreakerName{Name: fmt.Sprint(i), Network: fmt.Sprint(i), At: boundaryNoon})
	}
	b = boundaryBreaker()
	b.Restore(BreakerState{Answer: Suspended, Silent: silent})
	if got := inClear(b, later); got != Suspended {
		t.Errorf("suspended, and after the start %s", got)
	}
	b = boundaryBreaker()
	b.Restore(BreakerState{Began: boundaryNoon, Delayed: []BreakerName{n}})
	if strip(b, 1, later, nil); !b.s.Began.Equal(boundaryNoon) {
		t.Errorf("with names, began %s", b.s.Began)
	}
}

func TestRepaired(t *testing.T) {
	for _, tt := range []struct {
		answer Answer
		after  time.Duration
		want   bool
	}{
		{Softened, 59 * time.Second, true},
		{Softened, time.Minute, false},
		{Softened, -time.Minute, false},
		{Suspended, 0, false},
		{Armed, 0, false},
	} {
		s := BreakerState{Answer: tt.answer, Since: boundaryNoon.Add(tt.after), BrokenTo: boundaryNoon}
		if got := s.Repaired(); got != tt.want {
			t.Errorf("%s after %s: %v", tt.answer, tt.after, got)
		}
	}
}

// TestOldSelfCheck: a result is believed for an hour.
func TestOldSelfCheck(t *testing.T) {
	for age, want := range map[time.Duration]Answer{time.Hour: Suspended, time.Hour + time.Second: Armed, -time.Hour: Suspended} {
		b := boundaryBreaker()
		b.o.SelfCheck = func() (bool, time.Time) { return false, boundaryNoon.Add(-age) }
		if strip(b, 1, boundaryNoon, nil); b.s.Answer != want {
			t.Errorf("%s old: %s", age, b.s.Answer)
		}
	}
}

// TestLookTime: for fifteen seconds a self-check that worked before may still be
// looking again.
func TestLookTime(t *testing.T) {
	for after, want := range map[time.Duration]Answer{15*time.Second - 1: Softened, 15 * time.Second: Suspended} {
		b := boundaryBreaker()
		b.o.SelfCheck = func() (bool, time.Time) { return true, boundaryNoon.Add(-time.Minute) }
		for n := range 11 {
			strip(b, n, boundaryNoon, nil)
		}
		if strip(b, 1, boundaryNoon.Add(after), nil); b.s.Answer != want {
			t.Errorf("after %s: %s", after, b.s.Answer)
		}
	}
}

// TestExcusedAfterARestart: an outage of ours is part of the state that is kept.
func TestExcusedAfterARestart(t *testing.T) {
	b := boundaryBreaker()
	b.Restore(BreakerState{BrokenFrom: boundaryNoon, BrokenTo: boundaryNoon})
	if got := strip(b, 1, boundaryNoon.Add(time.Hour), nil); got != tlsstate.Header {
		t.Errorf("%s", got)
	}
}

// TestSilenceOfTen: ten names and no encrypted session since are not enough to
// find our own TLS broken.
func TestSilenceOfTen(t *testing.T) {
	b := boundaryBreaker()
	for n := range 11 {
		encrypted(b, boundaryNoon)
		strip(b, n, boundaryNoon, nil)
	}
	encrypted(b, boundaryNoon)
	for n, want := range []Answer{9: Softened, 10: Suspended} {
		if strip(b, n, boundaryNoon, nil); want != Armed && b.s.Answer != want {
			t.Errorf("%d names in silence: %s", n+1, b.s.Answer)
		}
	}
}
