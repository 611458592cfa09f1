package ratchet

import (
	"time"

	"tlsratchet/tlsstate"
)

// Shared is a memory that other hosts have a part in.
type Shared interface {
	// Refresh brings the histories of identities up to what other hosts know,
	// where that can be had in time and was not asked for within maxAge. It
	// reports whether that changed any.
	Refresh(maxAge time.Duration, ids ...tlsstate.Identity) bool
}

// fresh is how old the copy of a peer may be that comes below what could be
// pinned, and is not known to do better.
const fresh = time.Minute

// refresh asks the other hosts for what they know of the peer, where that could
// make a difference: the session is below a level that is pinned. For one that
// is below the best level known nothing older than now will do. It reports
// whether the histories changed.
func (r *Ratchet) refresh(t *trial) bool {
	if t.Level >= t.rule.PinUpTo || t.Level == tlsstate.Plaintext && !t.offered() {
		return false
	}
	maxAge := fresh
	for _, p := range t.peerParts() {
		if !p.id.IsZero() && p.history.Best() > t.Level {
			maxAge = 0
		}
	}
	return r.refreshWithin(t, maxAge)
}

func (r *Ratchet) refreshWithin(t *trial, maxAge time.Duration) bool {
	if r.shared == nil || t.dry {
		return false
	}
	var ids []tlsstate.Identity
	for _, p := range [...]*part{&t.address, &t.domain, &t.sender, &t.network} {
		if !p.id.IsZero() {
			ids = append(ids, p.id)
		}
	}
	return r.shared.Refresh(maxAge, ids...)
}

// peerParts are the identities of the peer, in the order in which they speak.
func (t *trial) peerParts() [3]*part { return [...]*part{&t.address, &t.domain, &t.sender} }
