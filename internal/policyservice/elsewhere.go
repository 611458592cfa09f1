package policyservice

import (
	"net/netip"
	"sync"
)

// Connections are the clients' connections that the milter sees: where both
// doors are in use, their messages are the milter's. smtpd(8) calls milters for
// MAIL before it asks for a recipient. The zero value is ready.
type Connections struct {
	mu sync.Mutex
	// recent and older are the newest ones: of 4,096 at least.
	recent, older map[connection]struct{}
}

type connection struct {
	addr netip.Addr
	port string
}

const generation = 4096

// See notes a connection.
func (c *Connections) See(addr netip.Addr, port string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recent == nil || len(c.recent) >= generation {
		c.recent, c.older = make(map[connection]struct{}), c.recent
	}
	if port != "" {
		c.recent[connection{addr, port}] = struct{}{}
	}
}

// Has reports whether the connection was seen.
func (c *Connections) Has(addr netip.Addr, port string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := connection{addr, port}
	_, recent := c.recent[k]
	_, older := c.older[k]
	return recent || older
}
