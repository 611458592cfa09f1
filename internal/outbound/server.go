package outbound

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/milter/wire"
)

// Limits are what a [Server] grants its clients. All must be positive.
type Limits struct {
	// Connections is how many may be open at once, over all listeners. Each
	// smtp(8) process has one.
	Connections int
	// Idle is how long a client may be silent between two requests; it gets up
	// to a quarter more. A client of whom the server tires asks the backup
	// table once: it should be longer than smtp(8) lives.
	Idle time.Duration
	// Request is how long a client may take for a request that it has begun,
	// and Write how long it may take to accept a reply.
	Request, Write time.Duration
}

// DefaultLimits suit a Postfix: smtp(8) lives for 100 idle seconds (max_idle).
func DefaultLimits() Limits {
	return Limits{Connections: 4096, Idle: time.Hour, Request: 5 * time.Second, Write: 5 * time.Second}
}

// maxRequest bounds a request, in bytes: Postfix asks for no key of more than
// 250.
const maxRequest = 1 << 10

// Answerer decides on one look-up. The key is as Postfix sent it, valid during
// the call only and not clean; pid is the asking process, 0 if unknown. It
// reports whether the policy is "encrypt".
type Answerer func(key []byte, pid int32) (encrypt bool)

// Server answers look-ups of policies. Each connection speaks the memcached
// text protocol or socketmap, by its first byte.
type Server struct {
	gate   *wire.Gate
	limits Limits
	answer Answerer
	log    *slog.Logger

	lookups, encrypts, refused, timeouts atomic.Uint64
	logged                               atomic.Int64 // unix minute of the last log line
}

// ServerStats are counts since the server was made.
type ServerStats struct {
	wire.GateStats
	// Lookups counts all answered, Encrypts those answered "encrypt".
	Lookups, Encrypts uint64
	// Refused counts connections closed for what came on them, Timeouts those
	// closed because a deadline had passed.
	Refused, Timeouts uint64
}

// NewServer makes a server. The limits must be positive.
func NewServer(limits Limits, answer Answerer, log *slog.Logger) *Server {
	return &Server{gate: wire.NewGate("look-up", limits.Connections, log), limits: limits, answer: answer, log: log}
}

// Stats returns the counts as they are now.
func (s *Server) Stats() ServerStats {
	return ServerStats{
		GateStats: s.gate.Stats(), Lookups: s.lookups.Load(), Encrypts: s.encrypts.Load(),
		Refused: s.refused.Load(), Timeouts: s.timeouts.Load(),
	}
}

// Serve answers the connections of the listeners until Shutdown.
func (s *Server) Serve(listeners ...net.Listener) error { return s.gate.Serve(s.handle, listeners...) }

// Shutdown ends all connections that wait for a request, and waits for the
// others until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error { return s.gate.Shutdown(ctx) }

// conn is one client.
type conn struct {
	*Server
	raw   net.Conn
	in    *bufio.Reader
	out   []byte
	pid   int32
	until time.Time // read deadline as set
	part  bool      // it is that of a request of which a part is here
}

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, maxRequest) }}

// errRefused ends a connection for what came on it.
var errRefused = errors.New("not a look-up")

func (s *Server) handle(raw net.Conn) {
	c := &conn{Server: s, raw: raw, in: readers.Get().(*bufio.Reader), pid: peerPID(raw)}
	c.in.Reset(raw)
	err := c.serve()
	switch {
	case err == nil || errors.Is(err, io.EOF) || s.gate.Draining():
	case errors.Is(err, errRefused):
		s.refused.Add(1)
		head, _ := c.in.Peek(min(c.in.Buffered(), 64))
		s.complain(raw, err, slog.String("next", clean.Text(string(head), 64)))
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.timeouts.Add(1)
	default:
		s.complain(raw, err)
	}
	c.in.Reset(nil)
	readers.Put(c.in)
}

// complain logs at most one line a minute.
func (s *Server) complain(raw net.Conn, err error, more ...any) {
	now := time.Now().Unix() / 60
	if s.logged.Swap(now) == now {
		return
	}
	more = append(more, "listener", raw.LocalAddr().String(), "error", clean.Text(err.Error(), 200))
	s.log.Warn("look-up connection closed", more...)
}

// serve answers until the client leaves, by the protocol of the first byte: a
// netstring begins with a digit (socketmap_table(5)).
func (c *conn) serve() error {
	first, err := c.await()
	if err != nil {
		return err
	}
	one := c.memcache
	if first >= '0' && first <= '9' {
		one = c.socketmap
	}
	for err == nil {
		if err = one(); err != nil {
			break
		}
		_, err = c.await()
	}
	return errors.Join(c.flush(), err)
}

// await returns the first byte of the next request. What was answered is sent
// before it waits.
func (c *conn) await() (byte, error) {
	c.part = false
	if c.in.Buffered() == 0 {
		if err := c.flush(); err != nil {
			return 0, err
		}
		if now := time.Now(); c.until.Sub(now) < c.limits.Idle {
			c.arm(now.Add(c.limits.Idle + c.limits.Idle/4))
		}
		if c.gate.Draining() {
			return 0, io.EOF
		}
	}
	b, err := c.in.Peek(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

func (c *conn) arm(until time.Time) {
	c.until = until
	c.raw.SetReadDeadline(until)
}

// begun sets the deadline of a request of which only a part is here, once.
func (c *conn) begun() {
	if !c.part {
		c.part = true
		c.arm(time.Now().Add(c.limits.Request))
	}
}

func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	c.raw.SetWriteDeadline(time.Now().Add(c.limits.Write))
	_, err := c.raw.Write(c.out)
	c.out = c.out[:0]
	return err
}

// ask decides on a key, and counts.
func (c *conn) ask(key []byte) bool {
	c.lookups.Add(1)
	if !c.answer(key, c.pid) {
		return false
	}
	c.encrypts.Add(1)
	return true
}
