package outbound

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"tlsratchet/internal/account"
	"tlsratchet/milter/wire"
)

// DefaultLimits suit a Postfix: smtp(8) lives for 100 idle seconds (max_idle), and
// each process has one connection. A client of whom the server tires asks the backup
// table once: Idle should be longer than smtp(8) lives.
func DefaultLimits() wire.DeskLimits {
	return wire.DeskLimits{Connections: 4096, Idle: time.Hour, Request: 5 * time.Second, Write: 5 * time.Second}
}

// maxRequest bounds a request, in bytes: Postfix asks for no key of more than
// 250.
const maxRequest = 1 << 10

// Answerer decides on one look-up. The key is as Postfix sent it, valid during
// the call only and not clean; pid is the asking process, 0 if unknown. It
// reports whether the policy is "encrypt".
type Answerer func(key []byte, pid uint32) (encrypt bool)

// Server answers look-ups of policies. Each connection speaks the memcached
// text protocol or socketmap, by its first byte.
type Server struct {
	*wire.Desk
	answer            Answerer
	lookups, encrypts atomic.Uint64
}

// ServerStats are counts since the server was made.
type ServerStats struct {
	wire.DeskStats
	// Lookups counts all answered, Encrypts those answered "encrypt".
	Lookups, Encrypts uint64
}

// NewServer makes a server. The limits must be positive.
func NewServer(limits wire.DeskLimits, answer Answerer, log *slog.Logger) *Server {
	s := &Server{answer: answer}
	s.Desk = wire.NewDesk("look-up", limits, maxRequest, s.serve, log)
	return s
}

// Stats returns the counts as they are now.
func (s *Server) Stats() ServerStats {
	return ServerStats{DeskStats: s.Desk.Stats(), Lookups: s.lookups.Load(), Encrypts: s.encrypts.Load()}
}

// conn is one client.
type conn struct {
	*wire.Asker
	s   *Server
	pid uint32
}

// errRefused ends a connection for what came on it.
var errRefused = fmt.Errorf("%w: not a look-up", wire.ErrRefused)

// serve answers until the client leaves, by the protocol of the first byte: a
// netstring begins with a digit (socketmap_table(5)).
func (s *Server) serve(a *wire.Asker) error {
	pid, _, _ := account.Peer(a.Conn()) // the one in "postfix/smtp[pid]", chrooted or not
	c := &conn{Asker: a, s: s, pid: pid}
	first, err := c.Await()
	one := c.memcache
	if first >= '0' && first <= '9' {
		one = c.socketmap
	}
	for err == nil {
		if err = one(); err == nil {
			_, err = c.Await()
		}
	}
	return err
}

// ask decides on a key, and counts.
func (c *conn) ask(key []byte) bool {
	c.s.lookups.Add(1)
	if !c.s.answer(key, c.pid) {
		return false
	}
	c.s.encrypts.Add(1)
	return true
}
