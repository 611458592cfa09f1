package ratchet

import (
	"time"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/peer/spf"
	"tlsratchet/tlsstate"
)

// Session is what is known of the SMTP session that a message comes in by.
type Session struct {
	// At is when the message came. The memory knows only its UTC day.
	At time.Time
	// Security is what it used.
	tlsstate.Security
	// Fingerprints are those of the client's certificate.
	Fingerprints Fingerprints
	// Peer is who is at the other end.
	Peer peer.Peer
	// Authenticated says that the client logged in with SASL: a user of ours,
	// neither judged nor learned.
	Authenticated bool
	// From is the sender's address as Postfix reads it, not clean; "" for the null
	// sender.
	From string

	// Last, if not nil, is for the messages of one client, judged one after the other,
	// that differ only in At and From: see [Last].
	Last *Last

	// sender is a sender that needs no proof, of a session that is made up.
	sender tlsstate.Identity
}

// day returns the UTC day of the session.
func (s *Session) day() tlsstate.Day { return tlsstate.DayOf(s.At) }

// Decision is what a session means, before anything is learned from it.
type Decision struct {
	tlsstate.Verdict
	// Changes says that the session would change a history: call
	// [Ratchet.Learn] once a recipient was accepted.
	Changes bool
	// Reason is why the outcome is unknown or exempt; nil for every other.
	Reason error
	// Breaker is the circuit breaker's answer, and Unlimited the action of a
	// downgrade before it.
	Breaker   Answer
	Unlimited tlsstate.Action

	rule   *tlsstate.Policy
	offers bool      // the session would change the listener's history
	claim  spf.Claim // of a sender that the session would teach
}

// Row names the row of the configuration that the session falls under: a domain
// or a network. "" for none.
func (d *Decision) Row() string {
	if d.rule == nil {
		return ""
	}
	return d.rule.Row
}

// Configured returns what the policy asks for, before the identity's evidence
// and the breaker limit it.
func (d *Decision) Configured() tlsstate.Action {
	if d.rule == nil {
		return d.Unlimited
	}
	return d.rule.Action(d.Kind)
}

// Event is what became of one message, for the log, the counters and the
// incidents. What it points to is only lent.
type Event struct {
	Session  *Session
	Decision *Decision
	// Recipient is the one that was refused, else the first one, as the peer sent
	// it, not clean; "" for none.
	Recipient string
	// Refused reports whether the message, or a recipient of it, was refused.
	Refused bool
	// QueueID is Postfix's, or empty: it has none before the end of message.
	QueueID string
	// Done reports whether the action was carried out. False where the message
	// ended before (the peer gave up), or where it failed.
	Done bool
}

// AppliedAction returns what was done to the message; if Done is false, what was to
// be done. Where a message was to be refused and was not, its recipient is exempt,
// and it got a header.
func (e *Event) AppliedAction() tlsstate.Action {
	a := e.Decision.Action
	if a >= tlsstate.Tempfail && e.Done && !e.Refused {
		return tlsstate.Header
	}
	return a
}

// Client names the SMTP client as Postfix's log does. Package peer has cleaned
// the name.
func (s *Session) Client() string {
	host := s.Peer.Host
	if host == "" {
		host = "unknown"
	}
	return host + "[" + s.Peer.IP.String() + "]"
}
