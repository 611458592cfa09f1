package policyservice

import (
	"net/netip"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Connections are the clients' connections that the milter sees, the last 8,192:
// where both doors are in use, their messages are the milter's. smtpd(8) calls
// milters for MAIL before it asks for a recipient.
type Connections struct {
	seen *lru.Cache[connection, struct{}]
}

type connection struct {
	addr netip.Addr
	port string
}

// NewConnections returns none.
func NewConnections() *Connections {
	seen, _ := lru.New[connection, struct{}](8192) // fails for no size alone
	return &Connections{seen}
}

// See notes a connection.
func (c *Connections) See(addr netip.Addr, port string) {
	if port != "" {
		c.seen.Add(connection{addr, port}, struct{}{})
	}
}

// Has reports whether the connection was seen.
func (c *Connections) Has(addr netip.Addr, port string) bool {
	return c.seen.Contains(connection{addr, port})
}
