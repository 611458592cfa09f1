package status

import (
	"slices"
	"sync"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// maxRecent is how many downgrades are kept for the page.
const maxRecent = 200

// Recent keeps the newest downgrades since the start, for the page. Its zero
// value is ready; its methods may be called at the same time.
type Recent struct {
	mu  sync.Mutex
	all []DowngradeEvent // oldest first
}

// DowngradeEvent is one message. All texts are clean.
type DowngradeEvent struct {
	At       time.Time
	Identity tlsstate.Identity
	// Client is the SMTP client as Postfix's log names it.
	Client string
	Kind   tlsstate.Downgrade
	// Pin is what was expected, Seen what came.
	Pin, Seen string
	Action    tlsstate.Action
	// Done is false where the message ended before it came to that.
	Done bool
}

// Take keeps a downgrade. It costs nothing for any other event.
func (r *Recent) Take(e ratchet.Event) {
	v := &e.Decision.Verdict
	if v.Outcome != tlsstate.Downgraded {
		return
	}
	pin, came := words.Compared(v)
	d := DowngradeEvent{
		At:       e.Session.At,
		Identity: tlsstate.Identity{Kind: v.Identity.Kind, Name: clean.Text(v.Identity.Name, maxName)},
		Client:   clean.Text(e.Session.Client(), maxName), Kind: v.Kind,
		Pin: pin, Seen: clean.Text(came, maxWord),
		Action: e.AppliedAction(), Done: e.Done,
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) == maxRecent {
		r.all = slices.Delete(r.all, 0, 1)
	}
	r.all = append(r.all, d)
}

// On returns the downgrades of a day, newest first.
func (r *Recent) On(day tlsstate.Day) (found []DowngradeEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range slices.Backward(r.all) {
		if tlsstate.DayOf(d.At) == day {
			found = append(found, d)
		}
	}
	return found
}

// Lengths, in bytes, that texts of a peer's choice may have.
const (
	maxName = 512
	maxWord = 64
)
