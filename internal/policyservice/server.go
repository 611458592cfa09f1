package policyservice

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
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

// DefaultLimits suit a Postfix, which closes an idle connection after 300 s
// (smtpd_policy_service_max_idle). Each smtpd(8) process has one.
func DefaultLimits() wire.DeskLimits {
	return wire.DeskLimits{Connections: 4096, Idle: 20 * time.Minute, Request: 10 * time.Second, Write: 10 * time.Second}
}

// Stats are counts since the server was made.
type Stats struct {
	wire.DeskStats
	// Requests counts all that were answered. NoFacts are messages without a
	// client's address, Failures those on which a panic came.
	Requests, NoFacts, Failures uint64
}

// Server answers policy requests.
type Server struct {
	*wire.Desk
	deps    Deps
	options atomic.Pointer[Options]

	requests, noFactsCount, failures atomic.Uint64
	misplaced, warned, stacked       atomic.Bool
	// ends are the listeners of Postfix that ask at the end of messages too.
	ends sync.Map
}

// New makes a server.
func New(deps Deps, options Options, limits wire.DeskLimits) *Server {
	s := &Server{deps: deps}
	s.Desk = wire.NewDesk("policy", limits, maxLine, s.serve, deps.Log)
	s.SetOptions(options)
	return s
}

// SetOptions replaces the options. A message under way keeps those it began
// with.
func (s *Server) SetOptions(o Options) { s.options.Store(&o) }

// Stats returns the counts as they are now.
func (s *Server) Stats() Stats {
	return Stats{DeskStats: s.Desk.Stats(), Requests: s.requests.Load(), NoFacts: s.noFactsCount.Load(), Failures: s.failures.Load()}
}

// conn is one smtpd(8) process.
type conn struct {
	*Server
	message message
}

// serve answers until the client leaves.
func (s *Server) serve(a *wire.Asker) error {
	c := &conn{Server: s}
	defer func() { c.message.close() }()
	for {
		if _, err := a.Await(); err != nil {
			return err
		}
		if here, _ := a.In.Peek(a.In.Buffered()); !bytes.HasSuffix(here, []byte("\n\n")) {
			a.Begun()
		}
		r, err := read(a.In)
		if err != nil {
			return err
		}
		a.Out = append(append(append(a.Out, "action="...), c.answer(r)...), "\n\n"...)
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
