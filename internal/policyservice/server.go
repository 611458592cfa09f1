package policyservice

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/ratchet"
	"tlsratchet/milter/wire"
)

// Options are what an operator wants. [Server.SetOptions] swaps them whole.
type Options struct {
	// HeaderAll adds the header to every message, not to downgrades alone.
	HeaderAll bool
	// ExemptRecipients get their mail whatever the verdict.
	ExemptRecipients ratchet.Recipients
	// Contact is a URL or address for reply texts, or empty.
	Contact string
}

// Judge decides what a session means and learns from it: a *ratchet.Ratchet.
type Judge interface {
	Decide(*ratchet.Session) ratchet.Decision
	Learn(*ratchet.Session, *ratchet.Decision)
}

// Deps are what the service works with. All but Elsewhere are required.
type Deps struct {
	Judge Judge
	Now   func() time.Time
	// Events is called with what became of each message that was judged. It is
	// on the mail path and must not block.
	Events func(ratchet.Event)
	// Elsewhere reports whether the milter sees this connection of a client, by
	// address and port: its messages are judged and counted there.
	Elsewhere func(addr netip.Addr, port string) bool
	Log       *slog.Logger
}

// Limits are what a [Server] grants its clients. All must be positive.
type Limits struct {
	// Connections is how many may be open at once, over all listeners. Each
	// smtpd(8) process has one.
	Connections int
	// Idle is how long a client may be silent between two requests.
	Idle time.Duration
	// Request is how long a client may take for a request that it has begun,
	// and Write how long it may take to accept an answer.
	Request, Write time.Duration
}

// DefaultLimits suit a Postfix, which closes an idle connection after 300 s
// (smtpd_policy_service_max_idle).
func DefaultLimits() Limits {
	return Limits{Connections: 4096, Idle: 20 * time.Minute, Request: 10 * time.Second, Write: 10 * time.Second}
}

// Stats are counts since the server was made.
type Stats struct {
	wire.GateStats
	// Requests counts all that were answered. NoFacts are messages without a
	// client's address, Failures those on which a panic came, Refused connections
	// closed for what came on them, Timeouts those closed because a deadline had
	// passed.
	Requests, NoFacts, Failures, Refused, Timeouts uint64
}

// Server answers policy requests.
type Server struct {
	gate    *wire.Gate
	limits  Limits
	deps    Deps
	options atomic.Pointer[Options]

	requests, noFactsCount, failures, refused, timeouts atomic.Uint64
	misplaced, warned, stacked                          atomic.Bool
	// ends are the listeners of Postfix that ask at the end of messages too.
	ends   sync.Map
	logged atomic.Int64 // unix minute of the last line about a connection
}

// New makes a server.
func New(deps Deps, options Options, limits Limits) *Server {
	s := &Server{gate: wire.NewGate("policy", limits.Connections, deps.Log), limits: limits, deps: deps}
	s.SetOptions(options)
	return s
}

// SetOptions replaces the options. A message under way keeps those it began
// with.
func (s *Server) SetOptions(o Options) { s.options.Store(&o) }

// Stats returns the counts as they are now.
func (s *Server) Stats() Stats {
	return Stats{
		GateStats: s.gate.Stats(), Requests: s.requests.Load(), NoFacts: s.noFactsCount.Load(),
		Failures: s.failures.Load(), Refused: s.refused.Load(), Timeouts: s.timeouts.Load(),
	}
}

// Serve answers on the listeners until Shutdown.
func (s *Server) Serve(listeners ...net.Listener) error { return s.gate.Serve(s.handle, listeners...) }

// Shutdown ends all connections that wait for a request, and waits for the
// others until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error { return s.gate.Shutdown(ctx) }

// conn is one smtpd(8) process.
type conn struct {
	*Server
	raw     net.Conn
	in      *bufio.Reader
	message message
}

func (s *Server) handle(raw net.Conn) {
	c := &conn{Server: s, raw: raw, in: bufio.NewReaderSize(raw, maxLine)}
	err := c.serve()
	c.message.close()
	switch {
	case errors.Is(err, io.EOF) || s.gate.Draining():
		return
	case errors.Is(err, errRefused):
		s.refused.Add(1)
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.timeouts.Add(1)
		return
	}
	if now := time.Now().Unix() / 60; s.logged.Swap(now) != now {
		s.deps.Log.Warn("policy connection closed", "listener", raw.LocalAddr().String(), "error", clean.Text(err.Error(), 200))
	}
}

// serve answers until the client leaves.
func (c *conn) serve() error {
	for {
		c.raw.SetReadDeadline(time.Now().Add(c.limits.Idle))
		if c.gate.Draining() {
			return io.EOF
		}
		if _, err := c.in.Peek(1); err != nil {
			return err
		}
		c.raw.SetReadDeadline(time.Now().Add(c.limits.Request))
		r, err := read(c.in)
		if err != nil {
			return err
		}
		c.raw.SetWriteDeadline(time.Now().Add(c.limits.Write))
		if _, err := io.WriteString(c.raw, "action="+c.answer(r)+"\n\n"); err != nil {
			return err
		}
	}
}

// endOfMessage is the state in which smtpd_end_of_data_restrictions ask.
const endOfMessage = "END-OF-MESSAGE"

// listener is one of Postfix's.
type listener struct{ addr, port string }

func listenerOf(r *request) listener {
	return listener{r.facts.Client.DaemonAddr, r.facts.Client.DaemonPort}
}

// answer answers a request: whatever fails inside is no opinion of ours.
func (c *conn) answer(r *request) (action string) {
	defer c.recovered(&action)
	c.requests.Add(1)
	if r.kind != "smtpd_access_policy" || r.state != "RCPT" && r.state != endOfMessage {
		if !c.misplaced.Swap(true) {
			c.deps.Log.Warn("policy request at a state that is not answered; put check_policy_service last in smtpd_recipient_restrictions", "state", clean.Text(r.state, 40))
		}
		return dunno
	}
	if r.instance == "" || r.instance != c.message.instance {
		c.message.close()
		c.message = c.begin(r)
	}
	if r.state == endOfMessage {
		c.ends.LoadOrStore(listenerOf(r), true)
		return c.message.end(r)
	}
	return c.message.recipient(r)
}

// recovered turns a panic into no opinion. The first one is logged with its
// stack.
func (c *conn) recovered(action *string) {
	p := recover()
	if p == nil {
		return
	}
	c.failures.Add(1)
	attrs := []any{"error", clean.Text(fmt.Sprint(p), 300)}
	if c.stacked.CompareAndSwap(false, true) {
		attrs = append(attrs, "stack", clean.Stack())
	}
	c.deps.Log.Error("panic in a policy request; no opinion", attrs...)
	c.message, *action = message{}, dunno
}

// noFacts counts a message without a client's address, and logs the first.
func (s *Server) noFacts(err error) {
	s.noFactsCount.Add(1)
	if !s.warned.Swap(true) {
		s.deps.Log.Warn("client address unknown; message accepted without judgement; further ones are only counted", "error", clean.Text(err.Error(), 300))
	}
}
