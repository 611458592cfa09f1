package population

import (
	"net/netip"

	"tlsratchet/tlsstate"
)

// memory is the histories of a simulated daemon: a map that joins as a store
// does, and forgets nothing.
type memory struct {
	histories map[tlsstate.Identity]tlsstate.History
	newest    tlsstate.Day
	rule      *tlsstate.Policy
}

func newMemory(rule *tlsstate.Policy) *memory {
	return &memory{histories: map[tlsstate.Identity]tlsstate.History{}, rule: rule}
}

// Load returns the zero history for an identity never seen.
func (m *memory) Load(id tlsstate.Identity) (tlsstate.History, error) {
	return m.histories[id], nil
}

// Learn joins what grow makes of a history to it.
func (m *memory) Update(id tlsstate.Identity, _ netip.Addr, _ tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	before := m.histories[id]
	after := tlsstate.Merge(before, grow(before)).Form(m.rule)
	m.histories[id] = after
	m.newest = max(m.newest, after.Newest())
	return after, nil
}

// Newest returns the newest day in any history.
func (m *memory) Newest() tlsstate.Day { return m.newest }
