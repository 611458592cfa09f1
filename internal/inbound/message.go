package inbound

import (
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// Message is one message on its way. The zero value is one that is not judged.
type Message struct {
	*Options
	Session  ratchet.Session
	Decision ratchet.Decision
	// First is the first recipient, or "" before it came.
	First string

	door *Door
	// exempt: the message is to be refused, but First is an exempt recipient. learned,
	// emitted: what was done.
	exempt, learned, emitted bool
}

// Judge makes m, the zero value, a message of a session, and judges it. from is the
// sender's address.
func (m *Message) Judge(d *Door, s *ratchet.Session, from string) {
	m.door, m.Options, m.Session = d, d.options.Load(), *s
	m.Session.At, m.Session.From = d.Now(), from
	m.Decision = d.Deps.Judge.Decide(&m.Session)
}

// Judged reports whether there is a decision.
func (m *Message) Judged() bool { return m.door != nil }

// Null reports whether the message has no sender: a bounce, or a callout.
func (m *Message) Null() bool { return m.Session.From == "" }

// Downgraded reports whether the session is a downgrade, so that an action
// waits for its stage.
func (m *Message) Downgraded() bool { return m.Decision.Outcome == tlsstate.Downgraded }

// Refuses reports whether the action is one that answers the sender.
func (m *Message) Refuses() bool { return m.Downgraded() && m.Decision.Action >= tlsstate.Tempfail }

// Holds reports whether the message is to be put on hold.
func (m *Message) Holds() bool { return m.Downgraded() && m.Decision.Action == tlsstate.Quarantine }

// Marks reports whether the message is to get our header. One that is accepted
// though its session was to be refused (for postmaster) is marked too.
func (m *Message) Marks() bool {
	return m.HeaderAll || m.Downgraded() && m.Decision.Action > tlsstate.Observe
}

// Recipient adds a recipient that Postfix accepted, and returns the reply that
// refuses it; "" for none. A message without a sender is neither learned nor
// refused before its end: callouts, which end before it, pass and teach nothing.
func (m *Message) Recipient(rcpt, queueID string) (reply string) {
	exempt := m.Refuses() && m.ExemptRecipients.Has(rcpt)
	if m.First == "" {
		m.First, m.exempt = rcpt, exempt
	}
	if !m.Null() {
		m.learn()
	}
	switch {
	case !m.Refuses():
	case !m.Null() && !exempt:
		return m.refuse(rcpt, queueID)
	case m.Null() && exempt != m.exempt:
		return words.Apart
	}
	return ""
}

// End ends the message, and returns the reply that refuses it as a whole; "" for
// none.
func (m *Message) End(queueID string) (reply string) {
	m.learn()
	if m.Refuses() && m.Null() && !m.exempt {
		return m.refuse(m.First, queueID)
	}
	return ""
}

func (m *Message) learn() {
	if !m.learned {
		m.learned = true
		m.door.Deps.Judge.Learn(&m.Session, &m.Decision)
	}
}

func (m *Message) refuse(rcpt, queueID string) string {
	m.Emit(ratchet.Event{Recipient: rcpt, QueueID: queueID, Refused: true, Done: true})
	return words.Reply(&m.Decision.Verdict, m.Decision.Action, m.Contact)
}

// Emit passes on what became of the message, once: a refusal at its first
// recipient.
func (m *Message) Emit(e ratchet.Event) {
	if m.emitted {
		return
	}
	m.emitted = true
	if !m.learned {
		m.Decision.Unsaved()
	}
	e.Session, e.Decision = &m.Session, &m.Decision
	m.door.Events(e)
}
