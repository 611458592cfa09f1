package incident

import "sync"

// watch counts the open incidents of each address: a good session of it may close
// one. Every encrypted message is looked up. Only the ledger changes it.
type watch struct {
	mu sync.RWMutex
	by map[string]int
}

// has reports whether an open incident has that address.
func (w *watch) has(address string) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.by[address] > 0
}

// add adds n incidents, or removes -n, to each of the clients.
func (w *watch) add(clients []Client, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range clients {
		if w.by[c.Address] += n; w.by[c.Address] <= 0 {
			delete(w.by, c.Address)
		}
	}
}
