package replay

import (
	"time"

	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// outage finds the times at which our own TLS was broken: many peers that can use
// TLS come in clear, one after the other, and no session in between is encrypted.
type outage struct {
	most int
	// names are the peers with a history of TLS that came in clear since the last
	// session that was encrypted, since the time of the first.
	names map[string]bool
	since time.Time
}

// session reports whether a session came during an outage. When one is found,
// what the sessions in clear before it taught is taken back.
func (o *outage) session(r *replay, s *ratchet.Session) bool {
	if r.memory.inClear = s.Level == tlsstate.Plaintext; !r.memory.inClear {
		clear(o.names)
		r.memory.changes = r.memory.changes[:0]
		return false
	}
	before := len(o.names)
	if before <= o.most && r.memory.usesTLS(s) {
		if before == 0 {
			o.since = s.At
		}
		o.names[s.BreakerName().Name] = true
	}
	if before <= o.most && len(o.names) > o.most {
		r.memory.undo()
		r.incidents.mark(o.since)
	}
	return len(o.names) > o.most
}

// usesTLS reports whether the peer was seen with TLS.
func (m *memory) usesTLS(s *ratchet.Session) bool {
	for _, id := range []tlsstate.Identity{s.Peer.Address, s.Peer.Domain} {
		if e := m.find(id); e != nil && e.history.Best() > tlsstate.Plaintext {
			return true
		}
	}
	return false
}
