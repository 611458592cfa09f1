package incident

import (
	"slices"
	"sync"
	"sync/atomic"

	"tlsratchet/tlsstate"
)

// watch holds the addresses of the open incidents: a good session of one of
// them closes its incident. Every encrypted message is looked up, which costs
// one atomic load where nothing is open, else a read lock and a map look-up.
// Only the ledger changes it.
type watch struct {
	n  atomic.Int64
	mu sync.RWMutex
	by map[tlsstate.Identity][]*Incident
}

func newWatch() *watch { return &watch{by: make(map[tlsstate.Identity][]*Incident)} }

// has reports whether an open incident has that address.
func (w *watch) has(address tlsstate.Identity) bool {
	if w.n.Load() == 0 {
		return false
	}
	w.mu.RLock()
	_, ok := w.by[address]
	w.mu.RUnlock()
	return ok
}

// at returns the open incidents with that address.
func (w *watch) at(address tlsstate.Identity) []*Incident { return w.by[address] }

// add adds an address of an open incident.
func (w *watch) add(address tlsstate.Identity, i *Incident) {
	if slices.Contains(w.by[address], i) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.by[address] = append(w.by[address], i)
	w.n.Store(int64(len(w.by)))
}

// remove removes all addresses of an incident.
func (w *watch) remove(i *Incident) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range i.Clients {
		address := c.identity()
		left := slices.DeleteFunc(slices.Clone(w.by[address]), func(j *Incident) bool { return i == j })
		if w.by[address] = left; len(left) == 0 {
			delete(w.by, address)
		}
	}
	w.n.Store(int64(len(w.by)))
}

// identity is the client's address identity.
func (c Client) identity() tlsstate.Identity {
	return tlsstate.Identity{Kind: tlsstate.Address, Name: c.Address}
}
