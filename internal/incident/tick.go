package incident

import (
	"cmp"
	"slices"
	"time"
)

// reminders are after how long people are reminded of mail that waits, with a
// sender or in the hold queue. Senders give up after five days as a rule (RFC
// 5321 section 4.5.4.1), some after one or two.
var reminders = [...]time.Duration{24 * time.Hour, 72 * time.Hour}

// heldPause is how long one reminder of held mail waits for the next, so that
// mail that was held through a day is told of together.
const heldPause = 24 * time.Hour

// tick does what time alone leads to.
func (l *ledger) tick(now time.Time) (changes []Change) {
	for _, i := range l.sorted() {
		if i.IsOpen() && now.Sub(i.Last) >= quietHours {
			changes = append(changes, l.close(i, Quiet, now)...)
		}
		if i.waits(now) {
			changes = append(changes, l.tell(i, Waiting, now, nil))
		}
		if held := i.aged(now); len(held) > 0 {
			c := l.remind(i, now)
			c.Held = held
			changes = append(changes, c)
		}
		if !i.IsOpen() && now.Sub(i.Closed) > keep {
			l.drop(i)
		}
	}
	return changes
}

// sorted returns all incidents in the order in which they opened.
func (l *ledger) sorted() []*Incident {
	all := make([]*Incident, 0, len(l.all))
	for _, i := range l.all {
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b *Incident) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// waits tells whether it is time to tell that a peer is still refused, and
// notes that it is told.
func (i *Incident) waits(now time.Time) bool {
	if !i.IsOpen() || i.Refused.IsZero() {
		return false
	}
	before := i.told.waiting
	i.told.waiting = due(before, now.Sub(i.Refused))
	return i.told.waiting > before
}

// due returns how many reminders there are to have been after so long, and
// no fewer than there were.
func due(n uint8, age time.Duration) uint8 {
	for int(n) < len(reminders) && age >= reminders[n] {
		n++
	}
	return n
}

// aged returns the held mail that people are to be reminded of now, and notes
// that they are.
func (i *Incident) aged(now time.Time) (held []Held) {
	if now.Sub(i.told.held) < heldPause && !now.Before(i.told.held) {
		return nil
	}
	for n := range i.Held {
		h := &i.Held[n]
		if n := due(h.reminded, now.Sub(h.At)); n > h.reminded {
			h.reminded = n
			held = append(held, *h)
		}
	}
	return held
}

// remind is tell for held mail, which may wait after the incident closed: it
// says nothing of that.
func (l *ledger) remind(i *Incident, now time.Time) Change {
	i.told.held = now
	l.dirty[i.ID] = struct{}{}
	return Change{What: Holding, At: now, Identity: i.Identity, Incident: i.clone()}
}
