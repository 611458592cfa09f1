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
	instance string // as the request states it
	// ends: its listener asks at the end of messages too.
	ends bool
	// marked, held: what was done already.
	marked, held bool
	// waits: what becomes of the message is emitted later, unless it is refused;
	// queueID is Postfix's so far.
	waits   bool
	queueID string
}

// begin makes a message of the request, and judges it.
func (c *conn) begin() {
	m, r := &c.message, &c.request
	*m = message{instance: r.text[instance]}
	if r.moved || c.client.Session.Peer.Address.IsZero() {
		if err := c.client.State(r.facts()); err != nil {
			c.Unknown(err, "")
			return
		}
		r.moved = false
	}
	if c.elsewhere != nil && c.elsewhere(&c.client, r.text[clientPort]) {
		return
	}
	if began, known := c.ends.Peek(listenerOf(r)); known {
		m.ends = began.Add(1) < manyBegan
	}
	m.Judge(c.Door, &c.client.Session, r.address(sender))
}

// recipient answers for one recipient.
func (m *message) recipient(r *request) string {
	if !m.Judged() {
		return dunno
	}
	if reply := m.Recipient(r.address(recipient), r.text[queueID]); reply != "" {
		return reply
	}
	if !m.waits { // else it is another recipient's
		m.waits, m.queueID = m.Refuses() || m.ends && (m.Downgraded() || m.Null() && m.Decision.Changes), r.text[queueID]
		if !m.waits {
			m.emit(true)
		}
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
	if reply := m.End(r.text[queueID]); reply != "" {
		return reply
	}
	if m.waits {
		m.queueID = r.text[queueID]
		m.emit(true)
	}
	if m.Holds() && !m.held {
		return m.hold()
	}
	return dunno
}

// close emits what waited for the end of the message. Where that is asked for
// and did not come, the client gave the message up.
func (m *message) close() {
	if m.waits {
		m.emit(!m.ends)
	}
}

func (m *message) emit(done bool) {
	m.Emit(ratchet.Event{Recipient: m.First, QueueID: m.queueID, Done: done})
}
