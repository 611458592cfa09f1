package milter

import (
	"bytes"
	"runtime"
	"strings"

	"tlsratchet/internal/inbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
	"tlsratchet/milter/wire"
)

// session is one connection of Postfix. Every event may be the first of a
// message: MAIL begins anew. ABORT comes where a message was broken off, and may
// come after one that ended.
type session struct {
	*Server
	ask     *wire.Asker
	greeted bool // the negotiation came
	left    int  // bytes of the last packet that In still holds

	// macros are those of MAIL as they came last, and fresh reports whether they
	// are the coming message's: most messages of a connection come from the same
	// client in the same way. parsed, or err, is what they mean; each message has
	// a copy, since Decide changes it.
	macros []byte
	fresh  bool
	parsed ratchet.Session
	port   string
	err    error
	bare   bool // they have no {client_addr}

	// Message is the one under way, copies counts our header in it as it came,
	// and queueID is Postfix's.
	inbound.Message
	copies  int
	queueID string
}

// serve answers until the client leaves.
func (s *Server) serve(a *wire.Asker) error {
	growStack()
	c := &session{Server: s, ask: a}
	for {
		cmd, data, err := c.next()
		if err != nil || cmd == cmdQuit || cmd == cmdQuitNC {
			return err
		}
		c.onEvent(cmd, data)
		a.Busy = c.Judged()
	}
}

// growStack makes the stack of a new session as large as a decision needs: Go
// would double it step by step, and copy it each time.
//
//go:noinline
func growStack() {
	var room [6 << 10]byte
	runtime.KeepAlive(&room)
}

// onEvent answers one packet. A panic becomes an "accept" where an answer is due:
// a closed connection would leave it to Postfix's default action.
func (s *session) onEvent(cmd byte, data []byte) {
	sent := len(s.ask.Out)
	defer func() {
		if p := recover(); p != nil {
			s.Panicked("panic in a milter callback; message accepted", p)
			s.Close()
			s.ask.Out = s.ask.Out[:sent]
			if strings.IndexByte("MRE", cmd) >= 0 {
				s.reply(accept)
			}
		}
	}()
	switch cmd {
	case cmdOptNeg:
		s.greeted = true
		s.ask.Out = append(s.ask.Out, negotiation...)
	case cmdMacro:
		s.onMacros(data)
	case cmdMail:
		s.onMail(address(data))
	case cmdRcpt:
		s.onRecipient(address(data))
	case cmdHeader:
		if name, _, _ := bytes.Cut(data, []byte{0}); strings.EqualFold(string(name), words.HeaderName) {
			s.copies++
		}
	case cmdEOM:
		s.onEnd()
	case cmdAbort:
		s.onAbort()
	default:
		s.reply(goOn)
	}
}

// reply answers the event. Data are texts with a NUL behind each.
func (s *session) reply(code byte, data ...string) { s.ask.Out = packet(s.ask.Out, code, data...) }

// refuse is the answer with a text. % is doubled, as the MTA takes the text for
// a format.
func (s *session) refuse(text string) {
	s.reply(refusal, strings.ReplaceAll(text, "%", "%%"), "\x00")
}

// accept ends our part in the message.
func (s *session) accept() {
	s.Close()
	s.reply(accept)
}

// onMacros keeps the macros of MAIL and of the end of message. Postfix sends some
// for every event, asked for or not.
func (s *session) onMacros(data []byte) {
	switch {
	case len(data) == 0:
	case data[0] == cmdMail:
		if s.fresh = true; !bytes.Equal(data, s.macros) {
			s.macros = append(s.macros[:0], data...)
			s.parse()
		}
	case data[0] == cmdEOM:
		eachMacro(data, func(name, value []byte) {
			if string(name) == "i" {
				s.queueID = string(value)
			}
		})
	}
}

// parse makes a session of the macros.
func (s *session) parse() {
	var facts ratchet.Facts
	facts, s.port = parseMacros(s.macros)
	s.bare = facts.Client.Addr == ""
	if s.parsed, s.err = facts.Session(); s.err == nil && !s.hasFacts.Load() {
		s.hasFacts.Store(true)
	}
}

// onMail judges the message's session.
func (s *session) onMail(from string) {
	if !s.fresh {
		s.macros = append(s.macros[:0], cmdMail)
		s.parse()
	}
	if s.err != nil {
		s.unknown(s.err, s.bare)
		s.accept()
		return
	}
	if s.seen != nil {
		s.seen(s.parsed.Peer.IP, s.port)
	}
	s.copies, s.queueID = 0, ""
	s.Judge(s.Door, &s.parsed, from)
	if s.Downgraded() || s.Decision.Changes || s.HeaderAll {
		s.reply(goOn)
		return
	}
	s.Emit(ratchet.Event{Done: true})
	s.accept()
}

// onRecipient learns at the first recipient, and refuses recipients where the
// action says so.
func (s *session) onRecipient(rcpt string) {
	if !s.Judged() { // no MAIL before: not what Postfix does
		s.reply(accept)
		return
	}
	if text := s.Recipient(rcpt, ""); text != "" {
		s.refuse(text)
		return
	}
	if s.Downgraded() || s.HeaderAll || s.Null() && s.Decision.Changes {
		s.reply(goOn)
		return
	}
	s.Emit(ratchet.Event{Done: true})
	s.accept()
}

// onEnd is the end of the message, where header and quarantine act, and where a
// message without a sender is learned and refused.
func (s *session) onEnd() {
	if !s.Judged() {
		s.reply(accept)
		return
	}
	if text := s.End(s.queueID); text != "" {
		s.Close()
		s.refuse(text)
		return
	}
	s.mark()
	s.Emit(ratchet.Event{Recipient: s.First, QueueID: s.queueID, Done: true})
	s.accept()
}

// maxDeleted is how many forged copies of our header are deleted: Postfix
// searches the message from its top for each, and 8,000 take 8 seconds.
const maxDeleted = 20

// mark inserts our header and puts the message on hold, and only then deletes
// forged copies: they can't keep the mark away.
func (s *session) mark() {
	if !s.Marks() {
		return
	}
	deleted := min(s.copies, maxDeleted)
	s.reply(insert, number(0), words.HeaderName, "\x00", words.Header(&s.Decision.Verdict, s.copies-deleted), "\x00")
	if s.Holds() {
		s.reply(quarantine, words.Quarantine(&s.Decision.Verdict), "\x00")
	}
	for i := deleted; i > 0; i-- {
		s.reply(change, number(uint32(i+1)), words.HeaderName, "\x00\x00") // the first is ours
	}
}

// onAbort ends a message early, or comes after one that ended. An action that
// was pending and never came to its stage is passed on as not done.
func (s *session) onAbort() {
	s.fresh = false
	if s.Judged() && s.Downgraded() && s.First != "" {
		s.Emit(ratchet.Event{Recipient: s.First})
	}
	s.Close()
}
