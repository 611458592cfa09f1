package shared

import (
	"sync"
	"sync/atomic"

	"tlsratchet/tlsstate"
)

// changed are the identities whose histories the server may not have. When they
// are too many they are forgotten, and everything is to be sent.
type changed struct {
	mu  sync.Mutex
	ids map[tlsstate.Identity]struct{}
	max int
	all atomic.Bool // everything is to be sent
}

func newChanged(limit int) *changed {
	return &changed{ids: make(map[tlsstate.Identity]struct{}), max: limit}
}

// add notes an identity. It returns true when it is the first.
func (c *changed) add(id tlsstate.Identity) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.ids[id]; !known && len(c.ids) >= c.max {
		clear(c.ids)
		c.all.Store(true)
	}
	c.ids[id.Clone()] = struct{}{}
	return len(c.ids) == 1
}

// take removes up to n identities.
func (c *changed) take(n int) []tlsstate.Identity {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := make([]tlsstate.Identity, 0, min(n, len(c.ids)))
	for id := range c.ids {
		if len(ids) == n {
			break
		}
		ids = append(ids, id)
		delete(c.ids, id)
	}
	return ids
}

func (c *changed) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.ids)
}
