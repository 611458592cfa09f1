package ratchet

import (
	"log/slog"
	"sync"
	"sync/atomic"

	"tlsratchet/tlsstate"
)

// jumpDays is how far ahead of the newest record the clock may be.
const jumpDays = 30

// clockGuard keeps a clock that jumped ahead from being written into the
// memory, where it would slide every window empty and could not be taken back.
type clockGuard struct {
	mu sync.Mutex
	// ahead is the day that was first found too far ahead, or 0.
	ahead tlsstate.Day
	// away is set while ahead is, for a look without the lock.
	away atomic.Bool
}

// trusted returns the day that a session is judged on: its own, or the newest in
// the memory where the clock is too far ahead of that. A clock that is half a
// year ahead would otherwise let every pin lapse.
func (g *clockGuard) trusted(day, newest tlsstate.Day) tlsstate.Day {
	if newest == 0 || int(day) <= int(newest)+jumpDays {
		return day
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if day > g.ahead && int(day) <= int(g.ahead)+jumpDays {
		return day // a day has passed on this clock, or an operator confirmed it
	}
	return newest
}

// writes reports whether sessions of the given day may be learned. A day too far
// ahead of the newest record is not, until a day passes on the same clock: then
// it is the machine that was off.
func (g *clockGuard) writes(day, newest tlsstate.Day, log *slog.Logger) bool {
	near := newest == 0 || int(day) <= int(newest)+jumpDays
	if near && !g.away.Load() {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if near { // the clock is back, or the memory has caught up
		g.set(0)
		return true
	}
	switch {
	case g.ahead == 0 || int(day) > int(g.ahead)+jumpDays:
		g.set(day)
		log.Warn("the clock is far ahead of the newest record: judging, but remembering nothing until a day has passed or tlsratchet is started with --confirm-clock",
			"clock", day.String(), "newest", newest.String())
	case day > g.ahead:
		return true
	}
	return false
}

func (g *clockGuard) set(ahead tlsstate.Day) {
	g.ahead = ahead
	g.away.Store(ahead != 0)
}

// ConfirmClock says that an operator has looked at the clock: what it says is
// written, however far it is ahead of the newest record. Call it before the
// first session.
func (r *Ratchet) ConfirmClock(today tlsstate.Day) {
	r.clock.mu.Lock()
	defer r.clock.mu.Unlock()
	r.clock.set(today - 1)
}
