package policyservice

import (
	"net/netip"
	"strconv"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"

	"tlsratchet/internal/inbound"
)

// Connections are the clients' connections that the milter sees, the last 4,096 at least:
// where both doors are in use, their messages are the milter's. smtpd(8) calls
// milters for MAIL before it asks for a recipient.
type Connections struct {
	seen  *lru.Cache[connection, struct{}]
	noted atomic.Uint64 // how often one was
}

const maxSeen = 8192

// connection is one by both its ends: a client may use a port of its own for
// several of Postfix's listeners, which need not have the same doors.
type connection struct {
	client, server         netip.Addr
	clientPort, serverPort uint16
}

func connectionOf(c *inbound.Client, port string) connection {
	server, _ := netip.ParseAddr(c.Facts.Client.DaemonAddr) // none before Postfix 3.2
	return connection{c.Session.Peer.IP, server, portOf(port), portOf(c.Facts.Client.DaemonPort)}
}

func portOf(text string) uint16 {
	n, _ := strconv.ParseUint(text, 10, 16)
	return uint16(n)
}

// NewConnections returns none.
func NewConnections() *Connections {
	seen, _ := lru.New[connection, struct{}](maxSeen) // fails for no size alone
	return &Connections{seen: seen}
}

// See notes a connection of a client from a port, "" where Postfix states none, unless
// it is among the last half.
func (c *Connections) See(client *inbound.Client, port string) {
	if client.Noted.Port == port && c.noted.Load()-client.Noted.Number < maxSeen/2 {
		return
	}
	if k := connectionOf(client, port); k.clientPort != 0 {
		client.Noted = inbound.Note{Port: port, Number: c.noted.Add(1)}
		c.seen.Add(k, struct{}{})
	}
}

// Has reports whether the connection was seen.
func (c *Connections) Has(client *inbound.Client, port string) bool {
	return c.noted.Load() > 0 && c.seen.Contains(connectionOf(client, port))
}
