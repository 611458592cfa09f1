package milter

import (
	"net"
	"net/textproto"
	"strings"

	gomilter "github.com/emersion/go-milter"

	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// session is one connection of Postfix; its fields are of the message under
// way. Every callback may be the first of a message: MAIL begins anew. Abort
// comes where a message was broken off, and may come after one that ended.
type session struct {
	m *Milter
	// said is what facts were read from, for the message before this one: most
	// messages of a connection come from the same client in the same way.
	said  said
	facts ratchet.Session

	options  *Options
	decision ratchet.Decision
	from     string
	// learned says that the first recipient came.
	learned bool
	// armed says that the session is a downgrade whose action waits for its
	// stage, told that what became of the message was told: once.
	armed, told bool
	// copies counts our header in the message as it came.
	copies int
}

// answer is a reply whose Continue is true, so that go-milter keeps the backend
// for the session's next message instead of making a new one.
type answer struct{ message *gomilter.Message }

// Response and Continue implement gomilter.Response.
func (a answer) Response() *gomilter.Message { return a.message }
func (a answer) Continue() bool              { return true }

var (
	accept   gomilter.Response = answer{&gomilter.Message{Code: byte(gomilter.ActAccept)}}
	goOn     gomilter.Response = answer{&gomilter.Message{Code: byte(gomilter.ActContinue)}}
	noAnswer gomilter.Response // for a stage negotiated as no-reply
)

// replyCode is SMFIR_REPLYCODE: a text of our own. go-milter doesn't take it
// for the end of the message, which at RCPT it is not.
const replyCode = 'y'

// MailFrom judges the message's session.
func (s *session) MailFrom(from string, mod *gomilter.Modifier) (resp gomilter.Response, _ error) {
	defer s.m.guard(accept, &resp)
	s.begin(from)
	if err := s.hear(mod.Macros); err != nil {
		s.m.canary(err)
		return accept, nil
	}
	s.facts.At, s.facts.From = s.m.deps.Now(), from
	s.decision = s.m.deps.Judge.Decide(&s.facts)
	s.armed = s.decision.Outcome == tlsstate.Downgraded
	if s.armed || s.decision.Changes || s.options.HeaderAll {
		return goOn, nil
	}
	s.tell(true, "", "")
	return accept, nil
}

// begin forgets the message before this one.
func (s *session) begin(from string) {
	*s = session{m: s.m, said: s.said, facts: s.facts, options: s.m.options.Load(), from: from}
}

// hear makes facts of what Postfix says, if that isn't what it said before.
func (s *session) hear(macros map[string]string) (err error) {
	said := hear(macros)
	if said == s.said && !s.facts.Peer.Address.IsZero() {
		return nil
	}
	s.said = said
	s.facts, err = said.facts()
	return err
}

// RcptTo learns at the first recipient, and refuses recipients where the
// action says so.
func (s *session) RcptTo(rcpt string, _ *gomilter.Modifier) (resp gomilter.Response, _ error) {
	defer s.m.guard(accept, &resp)
	if s.options == nil { // no MAIL before: not what Postfix does
		return accept, nil
	}
	if !s.learned {
		s.learned = true
		s.m.deps.Judge.Learn(&s.facts, &s.decision)
	}
	switch {
	case s.armed && s.refuses() && s.from != "" && !s.options.exempt(rcpt):
		s.tell(true, rcpt, "")
		return s.refuse(), nil
	case s.armed && s.decision.Action > tlsstate.Observe, s.options.HeaderAll:
		return goOn, nil
	}
	s.tell(true, "", "")
	s.armed = false
	return accept, nil
}

// refuses tells whether the action is one that answers the sender.
func (s *session) refuses() bool { return s.decision.Action >= tlsstate.Tempfail }

func (s *session) refuse() gomilter.Response {
	return gomilter.NewResponseStr(replyCode, refusal(&s.decision, s.options.Contact))
}

// Header counts copies of our header that came with the message.
func (s *session) Header(name, _ string, _ *gomilter.Modifier) (resp gomilter.Response, _ error) {
	defer s.m.guard(noAnswer, &resp)
	if strings.EqualFold(name, words.HeaderName) {
		s.copies++
	}
	return noAnswer, nil
}

// Body is the end of the message, where header and quarantine act, and where a
// message without a sender is refused: callouts, which end before it, pass.
func (s *session) Body(mod *gomilter.Modifier) (resp gomilter.Response, _ error) {
	defer s.m.guard(accept, &resp)
	if s.options == nil {
		return accept, nil
	}
	armed := s.armed
	s.armed = false
	queueID := mod.Macros["i"]
	if armed && s.refuses() && s.from == "" {
		s.tell(true, "", queueID)
		return s.refuse(), nil
	}
	if err := s.mark(mod, armed); err != nil {
		s.m.trouble("marking a message", err)
		armed = false
	}
	s.tell(true, "", queueID)
	return accept, nil
}

// mark takes forged copies of our header out and puts ours in. A message that
// is let through though its session was to be refused (to postmaster) has it
// too.
func (s *session) mark(mod *gomilter.Modifier, armed bool) error {
	for i := s.copies; i > 0; i-- {
		if err := mod.ChangeHeader(i, words.HeaderName, ""); err != nil {
			return err
		}
	}
	if s.options.HeaderAll || armed {
		if err := mod.InsertHeader(0, words.HeaderName, words.Header(&s.decision.Verdict, 0)); err != nil {
			return err
		}
	}
	if armed && s.decision.Action == tlsstate.Quarantine {
		return mod.Quarantine(words.Quarantine(&s.decision.Verdict))
	}
	return nil
}

// Abort ends a message early, or comes after one that ended. An action that
// was armed and never came to its stage is told.
func (s *session) Abort(*gomilter.Modifier) error {
	var resp gomilter.Response
	defer s.m.guard(noAnswer, &resp)
	if s.armed && s.learned {
		s.tell(false, "", "")
	}
	*s = session{m: s.m, said: s.said, facts: s.facts}
	return nil
}

// tell passes on what became of the message, unless that was told already: a
// refusal is told at its first recipient.
func (s *session) tell(done bool, rcpt, queueID string) {
	if s.told {
		return
	}
	s.told = true
	s.m.deps.Events(ratchet.Event{
		Session: &s.facts, Decision: &s.decision,
		From: s.from, Recipient: rcpt, QueueID: queueID, Done: done,
	})
}

// The stages that were not asked for. An MTA that sends them all the same gets
// the one answer that lets the message go on.

// Connect is not asked for.
func (s *session) Connect(string, string, uint16, net.IP, *gomilter.Modifier) (gomilter.Response, error) {
	return goOn, nil
}

// Helo is not asked for.
func (s *session) Helo(string, *gomilter.Modifier) (gomilter.Response, error) { return goOn, nil }

// Headers is not asked for.
func (s *session) Headers(textproto.MIMEHeader, *gomilter.Modifier) (gomilter.Response, error) {
	return goOn, nil
}

// BodyChunk is not asked for.
func (s *session) BodyChunk([]byte, *gomilter.Modifier) (gomilter.Response, error) { return goOn, nil }
