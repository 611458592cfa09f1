package replay

import (
	"net/netip"

	"tlsratchet/tlsstate"
)

// memory is a store for one goroutine, and for as long as a replay takes.
// Nothing in it is ever pushed out, and there are no quotas.
type memory struct {
	peers map[tlsstate.Identity]*tlsstate.History
	// listener is the history of the one that the session under way came in
	// at. It is known already: see offers.
	listener tlsstate.History
}

// Load returns the zero history for an identity never seen.
func (m *memory) Load(id tlsstate.Identity) (tlsstate.History, error) {
	if id.Kind == tlsstate.Listener {
		return m.listener, nil
	}
	if h := m.peers[id]; h != nil {
		return *h, nil
	}
	return tlsstate.History{}, nil
}

// Learn replaces a history by what grow makes of it. Nobody else has it, and
// grow only ever grows it: there is nothing to merge.
func (m *memory) Learn(id tlsstate.Identity, _ netip.Addr, _ tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	if id.Kind == tlsstate.Listener {
		return m.listener, nil
	}
	h := m.peers[id]
	if h == nil {
		h = new(tlsstate.History)
		m.peers[id] = h
	}
	*h = grow(*h)
	return *h, nil
}

// Newest returns 0: a log may leave out months, and that is no clock that
// jumped.
func (m *memory) Newest() tlsstate.Day { return 0 }
