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
	// Peer is who is at the other end.
	Peer peer.Peer
	// Authenticated says that the client logged in with SASL: a user of ours,
	// neither judged nor learned.
	Authenticated bool
	// From is the argument of MAIL as it came, not clean; "" for the null
	// sender.
	From string

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
	// Reason tells why the outcome is unknown; nil for every other.
	Reason error
	// Breaker is what the circuit breaker made of the action of a downgrade.
	Breaker Answer

	rule  *tlsstate.Policy
	claim spf.Claim // of a sender that the session would teach
}

// Event is one message's way through, for whoever tells people: the log, and
// all that count. What it points to is only lent.
type Event struct {
	Session  *Session
	Decision *Decision
	// From is the MAIL FROM address and Recipient the recipient that was
	// refused, both as the peer sent them, not clean; empty if there is none.
	From, Recipient string
	// QueueID is Postfix's, or empty: it has none before the end of message.
	QueueID string
	// Done tells whether the action came to its stage. One that was armed and
	// did not (the peer gave up before) is told with Done false.
	Done bool
}

// Did tells what was done to the message, or, if Done is false, what was to be.
// A refusal names its recipient, or is of a message without a sender; what else
// was to be refused went to somebody exempt, with a header.
func (e *Event) Did() tlsstate.Action {
	a := e.Decision.Action
	if a >= tlsstate.Tempfail && e.Done && e.Recipient == "" && e.From != "" {
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
