package replay

import (
	"errors"
	"net/netip"

	"tlsratchet/tlsstate"
)

// memory is a store for one goroutine, and for as long as a replay takes.
// Nothing in it is ever pushed out, and there are no quotas.
type memory struct {
	// histories are those of the peers, by number. Workers share them, and no
	// identity is with two.
	histories []tlsstate.History
	// peer is who the session under way is of, and listener the history of
	// where it came in: that is known already, see offers.
	peer     *known
	listener tlsstate.History
}

// errNobody says that the ratchet asked for an identity that the session under
// way doesn't have.
var errNobody = errors.New("replay: not an identity of this session")

// Load returns the zero history for an identity never seen.
func (m *memory) Load(id tlsstate.Identity) (tlsstate.History, error) {
	if id.Kind == tlsstate.Listener {
		return m.listener, nil
	}
	h := m.history(id)
	if h == nil {
		return tlsstate.History{}, errNobody
	}
	return *h, nil
}

// Learn replaces a history by what grow makes of it. Nobody else has it, and
// grow only ever grows it: there is nothing to merge.
func (m *memory) Learn(id tlsstate.Identity, _ netip.Addr, _ tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	if id.Kind == tlsstate.Listener {
		return m.listener, nil
	}
	h := m.history(id)
	if h == nil {
		return tlsstate.History{}, errNobody
	}
	*h = grow(*h)
	return *h, nil
}

// history finds an identity of the peer under way without looking it up.
func (m *memory) history(id tlsstate.Identity) *tlsstate.History {
	switch id {
	case m.peer.Address:
		return &m.histories[m.peer.address]
	case m.peer.Domain:
		return &m.histories[m.peer.domain]
	}
	return nil
}

// Newest returns 0: a log may leave out months, and that is no clock that
// jumped.
func (m *memory) Newest() tlsstate.Day { return 0 }
