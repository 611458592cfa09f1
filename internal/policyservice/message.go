package policyservice

import (
	"strings"

	"tlsratchet/internal/inbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
)

// dunno has Postfix decide as if it had not asked.
const dunno = "DUNNO"

// message is one message on its way, over all of its recipients.
type message struct {
	inbound.Message
	instance string
	// ends: its listener asks at the end of messages too.
	ends bool
	// marked, held: what was done already.
	marked, held bool
	// later is what becomes of the message unless it is refused, or given up.
	later *ratchet.Event
}

// begin makes m the message of a request, and judges it.
func (m *message) begin(s *Server, r *request) {
	*m = message{instance: r.instance}
	session, err := r.facts.Session()
	if err != nil {
		s.Unknown(err, "")
		return
	}
	if s.elsewhere != nil && s.elsewhere(session.Peer.IP, r.port) {
		return
	}
	_, m.ends = s.ends.Load(listenerOf(r))
	m.Judge(s.Door, &session, r.sender)
}

// recipient answers for one recipient.
func (m *message) recipient(r *request) string {
	if !m.Judged() {
		return dunno
	}
	if reply := m.Recipient(r.recipient, r.queueID); reply != "" {
		return reply
	}
	e := ratchet.Event{Recipient: r.recipient, QueueID: r.queueID, Done: true}
	switch {
	case m.later != nil: // another recipient's
	case m.Refuses() || m.ends && m.Downgraded():
		m.later = &e
	default:
		m.Emit(e)
	}
	return m.mark()
}

// mark adds the header, once, and puts the message on hold: at its end, or in
// place of the header where nobody asks then. There is one action for one
// recipient.
func (m *message) mark() string {
	switch {
	case !m.ends && m.Holds() && !m.held:
		return m.hold()
	case !m.marked && m.Marks():
		m.marked = true
		return "PREPEND " + words.HeaderName + ": " + strings.ReplaceAll(words.Header(&m.Decision.Verdict, 0), "\n\t", " ")
	}
	return dunno
}

func (m *message) hold() string {
	m.held = true
	return "HOLD " + words.Quarantine(&m.Decision.Verdict)
}

// end answers for the end of the message.
func (m *message) end(r *request) string {
	if !m.Judged() {
		return dunno
	}
	if reply := m.End(r.queueID); reply != "" {
		return reply
	}
	if m.later != nil {
		m.later.QueueID = r.queueID
		m.Emit(*m.later)
	}
	if m.Holds() && !m.held {
		return m.hold()
	}
	return dunno
}

// close emits what waited for the end of the message. Where that is asked for
// and did not come, the client gave the message up.
func (m *message) close() {
	if m.later != nil {
		m.later.Done = !m.ends
		m.Emit(*m.later)
	}
}
