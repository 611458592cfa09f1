package incident

import (
	"time"

	"tlsratchet/tlsstate"
)

// What is the kind of a [Change].
type What uint8

// The kinds of change. The last three are of no incident.
const (
	// Opened: an incident opened, or went on after its end was reported.
	Opened What = iota + 1
	// Grown: it got worse (a worse kind, stronger evidence, a stronger action),
	// ten times larger, or a day older.
	Grown
	// Waiting: its peer has been refused (tempfail) for a day, or for three: the
	// senders will soon get their mail back.
	Waiting
	// Holding: some of its mail was put into the hold queue a day ago, or three:
	// see Change.Held.
	Holding
	// Closed: it closed.
	Closed
	// Pinned: a pin formed.
	Pinned
	// Lapsed: a peer came below a pin that was not met for too long to hold.
	Lapsed
	// Released: a pin no longer holds, because its peer stayed below it.
	Released
)

var whatNames = [...]string{"", "opened", "grown", "waiting", "holding", "closed", "pinned", "lapsed", "released"}

// String returns the kind as one lower-case word.
func (w What) String() string { return whatNames[min(int(w), len(whatNames)-1)] }

// Change is something to report. It shares nothing with the [Book].
type Change struct {
	What     What
	At       time.Time
	Identity tlsstate.Identity
	// Words is the verdict of the message that led to it, clean; "" where time
	// alone did.
	Words string
	// Incident is the incident as it was then; the zero Incident for Pinned,
	// Lapsed and Released.
	Incident Incident
	// Held are the messages that Holding is about.
	Held []Held
}
