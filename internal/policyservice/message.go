package policyservice

import (
	"strings"

	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// dunno has Postfix decide as if it had not asked.
const dunno = "DUNNO"

// message is one message on its way, over all of its recipients.
type message struct {
	s        *Server
	instance string
	session  ratchet.Session
	decision ratchet.Decision
	options  *Options
	from     string
	// judged: there is a decision. first and exempt are the first recipient, and
	// whether it is an exempt one.
	judged, exempt bool
	first          string
	// ends: its listener asks at the end of messages too.
	ends bool
	// learned, marked, held, emitted: what was done already.
	learned, marked, held, emitted bool
	// later is what becomes of the message unless it is refused, or given up.
	later *ratchet.Event
}

// begin judges the message of a request.
func (s *Server) begin(r *request) message {
	m := message{s: s, instance: r.instance, options: s.options.Load(), from: r.sender}
	session, err := r.facts.Session()
	if err != nil {
		s.noFacts(err)
		return m
	}
	if s.deps.Elsewhere != nil && s.deps.Elsewhere(session.Peer.IP, r.port) {
		return m
	}
	m.session, m.judged = session, true
	_, m.ends = s.ends.Load(listenerOf(r))
	m.session.At, m.session.From = s.deps.Now(), r.sender
	m.decision = s.deps.Judge.Decide(&m.session)
	return m
}

func (m *message) null() bool { return m.from == "" }

func (m *message) downgraded() bool { return m.judged && m.decision.Outcome == tlsstate.Downgraded }

func (m *message) refuses() bool {
	return m.downgraded() && m.decision.Action >= tlsstate.Tempfail
}

// recipient answers for one recipient. A message without a sender is neither
// learned nor refused before its end: callouts, which end before it, pass and
// teach nothing.
func (m *message) recipient(r *request) string {
	if !m.judged {
		return dunno
	}
	exempt := m.options.ExemptRecipients.Has(r.recipient)
	if m.first == "" {
		m.first, m.exempt = r.recipient, exempt
	}
	e := ratchet.Event{Recipient: r.recipient, QueueID: r.queueID, Done: true}
	if !m.null() {
		m.learn()
	}
	switch {
	case m.refuses() && !m.null() && !exempt:
		e.Refused = true
		m.emit(e)
		return m.reply()
	case m.refuses() && m.null() && exempt != m.exempt:
		return words.Apart
	case m.later != nil: // another recipient's
	case m.refuses() || m.ends && m.downgraded():
		m.later = &e
	default:
		m.emit(e)
	}
	return m.mark()
}

// mark adds the header, once, and puts the message on hold: at its end, or in
// place of the header where nobody asks then. There is one action for one
// recipient.
func (m *message) mark() string {
	v := &m.decision.Verdict
	switch {
	case !m.ends && m.holds():
		return m.hold()
	case !m.marked && (m.options.HeaderAll || m.downgraded() && m.decision.Action > tlsstate.Observe):
		m.marked = true
		return "PREPEND " + words.HeaderName + ": " + strings.ReplaceAll(words.Header(v, 0), "\n\t", " ")
	}
	return dunno
}

func (m *message) holds() bool {
	return m.downgraded() && m.decision.Action == tlsstate.Quarantine && !m.held
}

func (m *message) hold() string {
	m.held = true
	return "HOLD " + words.Quarantine(&m.decision.Verdict)
}

// end answers for the end of the message.
func (m *message) end(r *request) string {
	if !m.judged {
		return dunno
	}
	m.learn()
	if m.refuses() && m.null() && !m.exempt {
		m.emit(ratchet.Event{Recipient: m.first, QueueID: r.queueID, Refused: true, Done: true})
		return m.reply()
	}
	if m.later != nil {
		m.later.QueueID = r.queueID
		m.emit(*m.later)
	}
	if m.holds() {
		return m.hold()
	}
	return dunno
}

// close emits what waited for the end of the message. Where that is asked for
// and did not come, the client gave the message up.
func (m *message) close() {
	if m.later != nil {
		m.later.Done = !m.ends
		m.emit(*m.later)
	}
}

func (m *message) learn() {
	if !m.learned {
		m.learned = true
		m.s.deps.Judge.Learn(&m.session, &m.decision)
	}
}

func (m *message) reply() string {
	return words.Reply(&m.decision.Verdict, m.decision.Action, m.options.Contact)
}

// emit passes on what became of the message, once.
func (m *message) emit(e ratchet.Event) {
	if m.emitted {
		return
	}
	m.emitted = true
	e.Session, e.Decision, e.From = &m.session, &m.decision, m.from
	m.s.deps.Events(e)
}
