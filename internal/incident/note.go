package incident

import (
	"tlsratchet/internal/clean"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// own returns an event that owns what it points to, which is valid during a call
// only otherwise. Its time is in UTC, its queue id one of Postfix's.
func own(e ratchet.Event) *ratchet.Event {
	s, d := *e.Session, *e.Decision
	s.At, e.QueueID = s.At.UTC(), queueID(e.QueueID)
	e.Session, e.Decision = &s, &d
	return &e
}

// queueID returns Postfix's queue id, or "" for what is none: it becomes part of a
// command.
func queueID(s string) string {
	if clean.IsWord(s) {
		return s
	}
	return ""
}

// opens reports whether a session opens an incident or goes on with one.
func opens(v *tlsstate.Verdict) bool { return v.Outcome == tlsstate.Downgraded }

// changesPin reports whether a session formed a pin, or came below one that no
// longer holds.
func changesPin(d *ratchet.Decision) bool {
	return d.Pinned() || d.Changes && (d.State == tlsstate.PinReleased || d.State == tlsstate.PinLapsed)
}

// meets reports whether the session may meet a pin: it was encrypted, judged and
// no downgrade.
func meets(v *tlsstate.Verdict) bool {
	return v.Seen.Level > tlsstate.Plaintext && v.Outcome >= tlsstate.New && v.Outcome < tlsstate.Downgraded
}
