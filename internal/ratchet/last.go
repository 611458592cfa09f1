package ratchet

import "tlsratchet/tlsstate"

// Last is what the message of a client came to that was judged last, if nothing
// was to be learned or done. The zero value is none. Clients that send several
// messages in a session send them in one way, and judging is half of the work for
// a message.
type Last struct {
	circumstances
	security tlsstate.Security
	decision Decision
}

// circumstances are what a decision depends on besides the client. The zero value is
// none.
type circumstances struct {
	from    string
	minute  int64 // since 1970: what DNS says doesn't hold for ever
	rules   *tlsstate.Rules
	changes uint64 // of the memory
}

func (r *Ratchet) circumstances(s *Session) circumstances {
	if s.Last == nil || r.o.Changes == nil {
		return circumstances{}
	}
	return circumstances{s.From, s.At.Unix() / 60, r.rules.Load(), r.o.Changes()}
}

// again returns the last decision where the session comes to the same.
func (l *Last) again(s *Session, now *circumstances) (d Decision, ok bool) {
	if now.rules == nil || l.circumstances != *now {
		return d, false
	}
	s.Security = l.security
	return l.decision, true
}

// keep keeps a decision, but none for which other hosts are asked, or that the breaker
// may limit.
func (l *Last) keep(t *trial, d *Decision, now *circumstances) {
	if now.rules != nil && !d.Changes && d.Outcome != tlsstate.Downgraded && t.Level >= t.rule.PinUpTo {
		*l = Last{*now, t.Security, *d}
	}
}
