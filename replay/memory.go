package replay

import (
	"net/netip"

	"tlsratchet/tlsstate"
)

// memory is a store for one goroutine, and for as long as a replay takes.
// Nothing in it is ever pushed out.
type memory map[tlsstate.Identity]tlsstate.History

// Load returns the zero history for an identity never seen.
func (m memory) Load(id tlsstate.Identity) (tlsstate.History, error) { return m[id], nil }

// Learn joins a history with what grow makes of it. There are no quotas.
func (m memory) Learn(id tlsstate.Identity, _ netip.Addr, _ tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	before := m[id]
	after := tlsstate.Merge(before, grow(before))
	if after != before {
		m[id] = after
	}
	return after, nil
}

// Newest returns 0: a log may leave out months, and that is no clock that
// jumped.
func (m memory) Newest() tlsstate.Day { return 0 }
