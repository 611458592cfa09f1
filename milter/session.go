package milter

import (
	"strings"

	gomilter "github.com/emersion/go-milter"

	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// session is one connection of Postfix. Every callback may be the first of a
// message: MAIL begins anew. Abort comes where a message was broken off, and may
// come after one that ended.
type session struct {
	unused
	m *Milter
	// facts are what Postfix stated with the previous message, and parsed the
	// session made of them: most messages of a connection come from the same
	// client in the same way. Each message has a copy: Decide changes that.
	facts  ratchet.Facts
	parsed ratchet.Session
	message
}

// message is the one under way.
type message struct {
	options  *Options
	session  ratchet.Session
	decision ratchet.Decision
	from     string
	// rcpt is the first recipient, or "" before it came; exempt reports whether
	// it is an exempt one.
	rcpt   string
	exempt bool
	// learned: the session was learned. actionPending: the session is a
	// downgrade whose action waits for its stage. emitted: what became of the
	// message was passed on.
	learned, actionPending, emitted bool
	// copies counts our header in the message as it came.
	copies int
}

// MailFrom judges the message's session.
func (s *session) MailFrom(from string, mod *gomilter.Modifier) (resp gomilter.Response, _ error) {
	defer s.m.guard(accept, &resp)
	s.message = message{}
	s.options, s.from = s.m.options.Load(), from
	if err := s.parse(mod.Macros); err != nil {
		s.m.noFacts(&s.facts, err)
		return accept, nil
	}
	s.m.hasFacts.Store(true)
	if s.m.deps.Seen != nil {
		s.m.deps.Seen(s.parsed.Peer.IP, mod.Macros["{client_port}"])
	}
	s.session = s.parsed
	s.session.At, s.session.From = s.m.deps.Now(), from
	s.decision = s.m.deps.Judge.Decide(&s.session)
	s.actionPending = s.decision.Outcome == tlsstate.Downgraded
	if s.actionPending || s.decision.Changes || s.options.HeaderAll {
		return goOn, nil
	}
	s.emit(ratchet.Event{Done: true})
	return accept, nil
}

// parse makes a session of the macros, unless they are the previous message's.
func (s *session) parse(macros map[string]string) (err error) {
	facts := parseMacros(macros)
	if facts == s.facts && !s.parsed.Peer.Address.IsZero() {
		return nil
	}
	s.facts = facts
	s.parsed, err = facts.Session()
	return err
}

// RcptTo learns at the first recipient, and refuses recipients where the action
// says so. A message without a sender is neither learned nor refused before its
// end: callouts, which end before it, pass and teach nothing.
func (s *session) RcptTo(rcpt string, _ *gomilter.Modifier) (resp gomilter.Response, _ error) {
	defer s.m.guard(accept, &resp)
	if s.options == nil { // no MAIL before: not what Postfix does
		return accept, nil
	}
	exempt, null := s.options.ExemptRecipients.Has(rcpt), s.from == ""
	if s.rcpt == "" {
		s.rcpt, s.exempt = rcpt, exempt
	}
	if !null {
		s.learn()
	}
	switch {
	case s.refuses() && !null && !exempt:
		s.emit(ratchet.Event{Recipient: rcpt, Refused: true, Done: true})
		return s.refuse(), nil
	case s.refuses() && null && exempt != s.exempt:
		return gomilter.NewResponseStr(replyCode, words.Apart), nil
	case s.actionPending, s.options.HeaderAll, null && s.decision.Changes:
		return goOn, nil
	}
	s.emit(ratchet.Event{Done: true})
	return accept, nil
}

func (s *session) learn() {
	if !s.learned {
		s.learned = true
		s.m.deps.Judge.Learn(&s.session, &s.decision)
	}
}

// refuses reports whether the pending action is one that answers the sender.
func (s *session) refuses() bool {
	return s.actionPending && s.decision.Action >= tlsstate.Tempfail
}

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
// message without a sender is learned and refused.
func (s *session) Body(mod *gomilter.Modifier) (resp gomilter.Response, _ error) {
	defer s.m.guard(accept, &resp)
	if s.options == nil {
		return accept, nil
	}
	s.learn()
	return s.end(mod, mod.Macros["i"]), nil
}

func (s *session) end(mod edits, queueID string) gomilter.Response {
	e := ratchet.Event{Recipient: s.rcpt, QueueID: queueID, Done: true}
	if s.refuses() && s.from == "" && !s.exempt {
		e.Refused = true
		s.emit(e)
		return s.refuse()
	}
	if err := s.mark(mod); err != nil {
		s.m.trouble("marking a message", err)
		e.Done = !s.actionPending
	}
	s.emit(e)
	return accept
}

// edits are the changes that a message gets: a *gomilter.Modifier.
type edits interface {
	InsertHeader(index int, name, value string) error
	ChangeHeader(index int, name, value string) error
	Quarantine(reason string) error
}

// maxDeleted is how many forged copies of our header are deleted: Postfix
// searches the message from its top for each, and 8,000 take 8 seconds.
const maxDeleted = 20

// mark inserts our header and puts the message on hold, and only then deletes
// forged copies: they can't keep the mark away. A message that is accepted
// though its session was to be refused (for postmaster) is marked too.
func (s *session) mark(mod edits) error {
	if !s.options.HeaderAll && !(s.actionPending && s.decision.Action > tlsstate.Observe) {
		return nil
	}
	deleted := min(s.copies, maxDeleted)
	if err := mod.InsertHeader(0, words.HeaderName, words.Header(&s.decision.Verdict, s.copies-deleted)); err != nil {
		return err
	}
	if s.actionPending && s.decision.Action == tlsstate.Quarantine {
		if err := mod.Quarantine(words.Quarantine(&s.decision.Verdict)); err != nil {
			return err
		}
	}
	for i := deleted; i > 0; i-- {
		if err := mod.ChangeHeader(i+1, words.HeaderName, ""); err != nil { // the first is ours
			return err
		}
	}
	return nil
}

// Abort ends a message early, or comes after one that ended. An action that was
// pending and never came to its stage is passed on as not done.
func (s *session) Abort(*gomilter.Modifier) error {
	var resp gomilter.Response
	defer s.m.guard(noAnswer, &resp)
	if s.actionPending && s.rcpt != "" {
		s.emit(ratchet.Event{Recipient: s.rcpt})
	}
	s.message = message{}
	return nil
}

// emit passes on what became of the message, once: a refusal at its first
// recipient.
func (s *session) emit(e ratchet.Event) {
	if s.emitted {
		return
	}
	s.emitted = true
	e.Session, e.Decision, e.From = &s.session, &s.decision, s.from
	s.m.deps.Events(e)
}
