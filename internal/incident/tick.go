package incident

import (
	"slices"
	"time"
)

// reminders are the ages at which mail that waits, at a sender or in the hold
// queue, is reported again. Senders usually give up after five days (RFC 5321
// section 4.5.4.1), some after one or two.
var reminders = [...]time.Duration{24 * time.Hour, 72 * time.Hour}

// heldPause is the time between two reminders of held mail, so that the mail of
// one day is in one reminder.
const heldPause = 24 * time.Hour

// tick returns what the passing of time changes.
func (l *ledger) tick(now time.Time) (changes []Change) {
	for _, i := range slices.Clone(l.all) {
		if i.IsOpen() && now.Sub(i.Last).Abs() >= quietHours { // or the clock was ahead
			changes = append(changes, l.close(i, Quiet, now)...)
		}
		if n := due(i.Reported.Waiting, now.Sub(i.Refused)); i.IsOpen() && !i.Refused.IsZero() && n > i.Reported.Waiting {
			i.Reported.Waiting = n
			changes = append(changes, l.report(i, Waiting, now, nil))
		}
		if held := i.aged(now); len(held) > 0 {
			c := l.report(i, Holding, now, nil)
			c.Held = held
			changes = append(changes, c)
		}
		if !i.IsOpen() && now.Sub(i.Closed) > maxAge {
			l.drop(i)
		}
	}
	return changes
}

// due returns how many reminders are due at an age, at least n.
func due(n uint8, age time.Duration) uint8 {
	for int(n) < len(reminders) && age >= reminders[n] {
		n++
	}
	return n
}

// aged returns the held mail whose reminder is due, and records it.
func (i *Incident) aged(now time.Time) (held []Held) {
	if now.Sub(i.Reported.Held) < heldPause && !now.Before(i.Reported.Held) {
		return nil
	}
	for n := range i.Held {
		h := &i.Held[n]
		if n := due(h.Reminded, now.Sub(h.At)); n > h.Reminded {
			h.Reminded = n
			held = append(held, *h)
		}
	}
	return held
}
