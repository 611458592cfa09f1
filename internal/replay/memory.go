package replay

import (
	"net/netip"

	"tlsratchet/tlsstate"
)

// memory is the memory of a replay. Nothing in it is ever pushed out, and there
// are no quotas.
type memory struct {
	all map[tlsstate.Identity]*entry
	// recent are the entries that the client's last session found: most are asked
	// for several times in a row.
	recent *recent
	// fault is true while what is learned comes from an outage of ours, inClear
	// while it comes from a session in clear.
	fault, inClear bool
	// changes are those by sessions in clear since the last one that was
	// encrypted.
	changes []change
}

const kinds = 8 // a power of two: more than there are

// recent are entries by kind. They are hints: what is another identity's is
// looked up.
type recent [kinds]*entry

// entry is what is remembered of one identity.
type entry struct {
	id      tlsstate.Identity
	history tlsstate.History
	// apart, if not nil, is the history without what our own outages taught: that
	// is not for --apply.
	apart *tlsstate.History
}

// clean returns what is for --apply.
func (e *entry) clean() tlsstate.History {
	if e.apart != nil {
		return *e.apart
	}
	return e.history
}

// change is a history before a session in clear changed it.
type change struct {
	of     *entry
	before tlsstate.History
}

func newMemory() *memory {
	return &memory{all: make(map[tlsstate.Identity]*entry), recent: new(recent)}
}

// find returns the entry of an identity, or nil.
func (m *memory) find(id tlsstate.Identity) *entry {
	recent := &m.recent[id.Kind%kinds]
	if e := *recent; e != nil && e.id == id {
		return e
	}
	e := m.all[id]
	if e != nil {
		*recent = e
	}
	return e
}

// Load returns the zero history for an identity never seen.
func (m *memory) Load(id tlsstate.Identity) (tlsstate.History, error) {
	if e := m.find(id); e != nil {
		return e.history, nil
	}
	return tlsstate.History{}, nil
}

// maxChanges bounds the changes that can be taken back.
const maxChanges = 1 << 15

// Update replaces a history by what grow makes of it. Nobody else has it, and
// grow only ever grows it: there is nothing to merge.
func (m *memory) Update(id tlsstate.Identity, _ netip.Addr, _ tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	e := m.find(id)
	if e == nil {
		e = &entry{id: id}
		m.all[id] = e
	}
	switch {
	case m.fault:
		h := e.clean()
		e.apart = &h
	default:
		if m.inClear && len(m.changes) < maxChanges {
			m.changes = append(m.changes, change{e, e.clean()})
		}
		if e.apart != nil {
			*e.apart = grow(*e.apart)
		}
	}
	e.history = grow(e.history) // last, because grow also returns a verdict to its caller
	return e.history, nil
}

// undo takes back, for --apply, what was learned since the last session that was
// encrypted.
func (m *memory) undo() {
	for i := len(m.changes) - 1; i >= 0; i-- {
		m.changes[i].of.apart = &m.changes[i].before
	}
	m.changes = nil
}

// learned returns what is for --apply.
func (m *memory) learned() map[tlsstate.Identity]tlsstate.History {
	all := make(map[tlsstate.Identity]tlsstate.History)
	for id, e := range m.all {
		if h := e.clean(); id.Kind != tlsstate.Listener && h != (tlsstate.History{}) {
			all[id] = h
		}
	}
	return all
}

// count returns how many identities of a kind there are, and how many of them have
// a pin that holds today.
func (m *memory) count(k tlsstate.Kind, rule *tlsstate.Policy, today tlsstate.Day) (seen, pinned int) {
	for id, e := range m.all {
		if id.Kind != k {
			continue
		}
		if seen++; e.history.TopPin(rule, today) > tlsstate.Plaintext {
			pinned++
		}
	}
	return seen, pinned
}

// Newest returns 0: a log may leave out months, and that is no clock that
// jumped.
func (m *memory) Newest() tlsstate.Day { return 0 }
