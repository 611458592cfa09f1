package incident

import (
	"time"

	"tlsratchet/tlsstate"
)

// What is the kind of a [Change], as one lower-case word.
type What string

// The kinds of change. The last three are of no incident.
const (
	// Opened: an incident opened, or went on after its end was reported.
	Opened What = "opened"
	// Grown: it got worse (a worse kind, stronger evidence, a stronger action),
	// ten times larger, or a day older.
	Grown What = "grown"
	// Waiting: its peer has been refused (tempfail) for a day, or for three: the
	// senders will soon get their mail back.
	Waiting What = "waiting"
	// Holding: some of its mail was put into the hold queue a day ago, or three:
	// see Change.Held.
	Holding What = "holding"
	// Closed: it closed.
	Closed What = "closed"
	// Pinned: a pin formed.
	Pinned What = "pinned"
	// Lapsed: a peer came below a pin that was not met for too long to hold.
	Lapsed What = "lapsed"
	// Released: a pin no longer holds, because its peer stayed below it.
	Released What = "released"
)

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
