package milter

import (
	"strings"

	gomilter "github.com/emersion/go-milter"

	"tlsratchet/internal/inbound"
	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
)

// session is one connection of Postfix. Every callback may be the first of a
// message: MAIL begins anew. Abort comes where a message was broken off, and may
// come after one that ended.
type session struct {
	gomilter.NoOpMilter // an MTA that sends stages that are not asked for gets "continue"
	m                   *Milter
	client              inbound.Client
	macros              map[string]string // which state the client
	// Message is the one under way, and copies counts our header in it as it
	// came.
	inbound.Message
	copies int
}

// MailFrom judges the message's session.
func (s *session) MailFrom(from string, mod *gomilter.Modifier) (resp gomilter.Response, _ error) {
	defer s.m.guard(accept, &resp)
	s.Message, s.copies = inbound.Message{}, 0
	if !one(s.macros, mod.Macros) {
		s.macros = nil
		if err := s.client.State(parseMacros(mod.Macros)); err != nil {
			s.m.unknown(&s.client.Facts, err)
			return accept, nil
		}
		s.macros = mod.Macros
		s.m.hasFacts.Store(true)
	}
	if s.m.seen != nil {
		s.m.seen(&s.client, mod.Macros["{client_port}"])
	}
	s.Judge(s.m.Door, &s.client.Session, peer.Address(from))
	if s.Downgraded() || s.Decision.Changes || s.HeaderAll {
		return goOn, nil
	}
	s.Emit(ratchet.Event{Done: true})
	return accept, nil
}

// RcptTo learns at the first recipient, and refuses recipients where the action
// says so.
func (s *session) RcptTo(rcpt string, _ *gomilter.Modifier) (resp gomilter.Response, _ error) {
	defer s.m.guard(accept, &resp)
	if !s.Judged() { // no MAIL before: not what Postfix does
		return accept, nil
	}
	if reply := s.Recipient(peer.Address(rcpt), ""); reply != "" {
		return refusal(reply), nil
	}
	if s.Downgraded() || s.HeaderAll || s.Null() && s.Decision.Changes {
		return goOn, nil
	}
	s.Emit(ratchet.Event{Done: true})
	return accept, nil
}

// Header counts copies of our header that came with the message.
func (s *session) Header(name, _ string, _ *gomilter.Modifier) (gomilter.Response, error) {
	if strings.EqualFold(name, words.HeaderName) {
		s.copies++
	}
	return noAnswer, nil
}

// Body is the end of the message, where header and quarantine act, and where a
// message without a sender is learned and refused.
func (s *session) Body(mod *gomilter.Modifier) (resp gomilter.Response, _ error) {
	defer s.m.guard(accept, &resp)
	if !s.Judged() {
		return accept, nil
	}
	return s.end(mod, mod.Macros["i"]), nil
}

func (s *session) end(mod edits, queueID string) gomilter.Response {
	if reply := s.End(queueID); reply != "" {
		return refusal(reply)
	}
	e := ratchet.Event{Recipient: s.First, QueueID: queueID, Done: true}
	if err := s.mark(mod); err != nil {
		s.m.Failed("message not marked, but accepted", err)
		e.Done = !s.Downgraded()
	}
	s.Emit(e)
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
// forged copies: they can't keep the mark away.
func (s *session) mark(mod edits) error {
	if !s.Marks() {
		return nil
	}
	deleted := min(s.copies, maxDeleted)
	if err := mod.InsertHeader(0, words.HeaderName, words.Header(&s.Decision.Verdict, s.copies-deleted)); err != nil {
		return err
	}
	if s.Holds() {
		if err := mod.Quarantine(words.Quarantine(&s.Decision.Verdict)); err != nil {
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
	if s.Downgraded() && s.First != "" {
		s.Emit(ratchet.Event{Recipient: s.First})
	}
	s.Message = inbound.Message{}
	return nil
}
