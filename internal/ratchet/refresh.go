package ratchet

import (
	"time"

	"tlsratchet/internal/peer/spf"
	"tlsratchet/tlsstate"
)

// Shared is a memory that other hosts have a part in. [New] finds out whether
// its Histories are one.
type Shared interface {
	// Refresh brings the histories of identities up to what other hosts know,
	// where that can be had in time and was not asked for within maxAge. It
	// tells whether that changed any.
	Refresh(maxAge time.Duration, ids ...tlsstate.Identity) bool
}

// SetShared is for a memory that is behind another one's Histories. Call it
// before the first session.
func (r *Ratchet) SetShared(s Shared) { r.shared = s }

// fresh is how old the copy of a peer may be that comes below what could be
// pinned, and is not known to do better.
const fresh = time.Minute

// refresh asks the other hosts for what they know of the peer, before it is
// judged, where that could make a difference: the session is below a level that
// is pinned. One that is below the best level known is a downgrade, or would
// be: then nothing older than now will do.
func (r *Ratchet) refresh(s *Session, d *Decision) {
	if r.shared == nil || s.Level >= d.rule.PinUpTo {
		return
	}
	if s.Level == tlsstate.Plaintext && !r.offered(s) {
		return
	}
	maxAge, ids := fresh, r.identities(s)
	for _, id := range ids {
		if h, err := r.histories.Load(id); err == nil && best(&h) > s.Level {
			maxAge = 0
		}
	}
	r.shared.Refresh(maxAge, ids...)
}

// again tells whether a session is to be judged once more: it came without its
// certificate, and other hosts know better of it.
func (r *Ratchet) again(s *Session, d *Decision) bool {
	return r.shared != nil && d.Kind == tlsstate.Unauthenticated && r.shared.Refresh(0, r.identities(s)...)
}

// offered tells whether STARTTLS is known to be offered where the session came
// in.
func (r *Ratchet) offered(s *Session) bool {
	h, err := r.histories.Load(s.Peer.Listener)
	return err == nil && h.Offers(s.day())
}

// identities returns those of the session's peer.
func (r *Ratchet) identities(s *Session) []tlsstate.Identity {
	var ids []tlsstate.Identity
	for _, id := range []tlsstate.Identity{s.Peer.Address, s.Peer.Domain} {
		if !id.IsZero() {
			ids = append(ids, id)
		}
	}
	if r.senders != nil {
		if c, ok := spf.ClaimOf(&s.Peer, s.From); ok {
			ids = append(ids, c.Identity)
		}
	}
	return ids
}

// best returns the best level that was ever met.
func best(h *tlsstate.History) tlsstate.Level {
	for l := tlsstate.TLS13; l > tlsstate.Plaintext; l-- {
		if h.Pins[l-1].Met != 0 {
			return l
		}
	}
	return tlsstate.Plaintext
}
