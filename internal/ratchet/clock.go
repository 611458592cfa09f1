package ratchet

import (
	"log/slog"
	"sync/atomic"

	"tlsratchet/tlsstate"
)

// jumpDays is how far ahead of the newest record the clock may be.
const jumpDays = 30

// clockGuard keeps a clock that jumped ahead from being written into the
// memory, where it would slide every window empty and could not be taken back.
type clockGuard struct {
	// ahead is the day that was first found too far ahead, or 0.
	ahead atomic.Uint32
}

// jumped reports whether a day is too far ahead of one that is known; 0 is none.
func jumped(day, known tlsstate.Day) bool {
	return known != 0 && int(day) > int(known)+jumpDays
}

// trusted returns the day that a session is judged on: its own, or the newest in
// the memory where the clock is too far ahead of that. A clock that is half a
// year ahead would otherwise let every pin lapse.
func (g *clockGuard) trusted(day, newest tlsstate.Day) tlsstate.Day {
	if jumped(day, newest) && !g.passed(day) {
		return newest
	}
	return day
}

// passed reports whether a day has passed on a clock that is far ahead, or an
// operator confirmed it: then it is the machine that was off.
func (g *clockGuard) passed(day tlsstate.Day) bool {
	ahead := tlsstate.Day(g.ahead.Load())
	return ahead != 0 && day > ahead && !jumped(day, ahead)
}

// writes reports whether sessions of the given day may be learned. A day too far
// ahead of the newest record is not, until a day passes on the same clock.
func (g *clockGuard) writes(day, newest tlsstate.Day, log *slog.Logger) bool {
	ahead := g.ahead.Load()
	switch {
	case !jumped(day, newest): // the clock is back, or the memory has caught up
		g.ahead.Store(0)
		return true
	case g.passed(day):
		return true
	case (ahead == 0 || jumped(day, tlsstate.Day(ahead))) && g.ahead.CompareAndSwap(ahead, uint32(day)):
		log.Warn("the clock is far ahead of the newest record: judging, but remembering nothing until a day has passed or tlsratchet is started with --confirm-clock",
			"clock", day.String(), "newest", newest.String())
	}
	return false
}

// Writes reports whether what is seen on a day may be remembered: not while the
// clock is far ahead of the newest record, which is logged once.
func (r *Ratchet) Writes(day tlsstate.Day) bool {
	return r.clock.writes(day, r.o.Histories.Newest(), r.o.Log)
}

// ConfirmClock says that an operator has looked at the clock: what it says is
// written, however far it is ahead of the newest record. Call it before the
// first session.
func (r *Ratchet) ConfirmClock(today tlsstate.Day) { r.clock.ahead.Store(uint32(today - 1)) }
