package incident

import (
	"strings"
	"time"

	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// note is a copy of an event, whose pointers are valid during the call only.
type note struct {
	at            time.Time
	verdict       tlsstate.Verdict
	address       tlsstate.Identity
	host          string
	from, queueID string
	action        tlsstate.Action
	done, changes bool
}

func newNote(e *ratchet.Event) note {
	s, d := e.Session, e.Decision
	return note{
		at: s.At.UTC(), verdict: d.Verdict,
		address: s.Peer.Address, host: s.Peer.Host,
		from: s.From, queueID: queueID(e.QueueID),
		action: e.AppliedAction(), done: e.Done, changes: d.Changes,
	}
}

// queueID returns Postfix's queue id, or "" for anything else: it becomes part of
// a command.
func queueID(s string) string {
	notOne := func(r rune) bool { return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') }
	if len(s) > maxQueue || strings.IndexFunc(s, notOne) >= 0 {
		return ""
	}
	return s
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
