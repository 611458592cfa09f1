package replay

import (
	"net/netip"

	"tlsratchet/tlsstate"
)

// memory is the memory of a replay. Nothing in it is ever pushed out, and there
// are no quotas.
type memory struct {
	histories map[tlsstate.Identity]tlsstate.History
	// apart are the histories of the identities to which our own outages happened,
	// without what they taught: that is not for --apply.
	apart map[tlsstate.Identity]tlsstate.History
	// fault is true while what is learned comes from an outage of ours, inClear
	// while it comes from a session in clear.
	fault, inClear bool
	// changes are those by sessions in clear since the last one that was
	// encrypted.
	changes []change
}

// change is a history before a session in clear changed it.
type change struct {
	id     tlsstate.Identity
	before tlsstate.History
}

func newMemory() *memory {
	return &memory{histories: make(map[tlsstate.Identity]tlsstate.History), apart: make(map[tlsstate.Identity]tlsstate.History)}
}

// Load returns the zero history for an identity never seen.
func (m *memory) Load(id tlsstate.Identity) (tlsstate.History, error) { return m.histories[id], nil }

// maxChanges bounds the changes that can be taken back.
const maxChanges = 1 << 15

// Learn replaces a history by what grow makes of it. Nobody else has it, and
// grow only ever grows it: there is nothing to merge.
func (m *memory) Learn(id tlsstate.Identity, _ netip.Addr, _ tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	before := m.histories[id]
	clean, ok := m.apart[id]
	if !ok {
		clean = before
	}
	if m.fault {
		m.apart[id] = clean
	} else if ok {
		m.apart[id] = grow(clean)
	}
	if m.inClear && !m.fault && len(m.changes) < maxChanges {
		m.changes = append(m.changes, change{id, clean})
	}
	after := grow(before) // last, because grow also returns a verdict to its caller
	m.histories[id] = after
	return after, nil
}

// undo takes back, for --apply, what was learned since the last session that was
// encrypted.
func (m *memory) undo() {
	for i := len(m.changes) - 1; i >= 0; i-- {
		m.apart[m.changes[i].id] = m.changes[i].before
	}
	m.changes = m.changes[:0]
}

// learned returns what is for --apply.
func (m *memory) learned() map[tlsstate.Identity]tlsstate.History {
	all := make(map[tlsstate.Identity]tlsstate.History, len(m.histories))
	for id, h := range m.histories {
		if clean, ok := m.apart[id]; ok {
			h = clean
		}
		if id.Kind != tlsstate.Listener && h != (tlsstate.History{}) {
			all[id] = h
		}
	}
	return all
}

// Newest returns 0: a log may leave out months, and that is no clock that
// jumped.
func (m *memory) Newest() tlsstate.Day { return 0 }
