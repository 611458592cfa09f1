package shared

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

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
	id.Name = strings.Clone(id.Name) // it may be a part of something large
	c.ids[id] = struct{}{}
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

// recent is when the server was last asked for an identity. It forgets the
// least recently asked for: they are asked for once more.
type recent struct {
	*lru.Cache[tlsstate.Identity, time.Time]
}

// recentSize is for about 8 MB.
const recentSize = 50_000

func newRecent() recent {
	ids, _ := lru.New[tlsstate.Identity, time.Time](recentSize) // fails for no size alone
	return recent{ids}
}

// mark notes that the server was asked just now.
func (r recent) mark(id tlsstate.Identity) {
	id.Name = strings.Clone(id.Name)
	r.Add(id, time.Now())
}

// within reports whether the server was asked less than age ago.
func (r recent) within(id tlsstate.Identity, age time.Duration) bool {
	at, ok := r.Peek(id)
	return ok && time.Since(at) < age
}
