package policyservice

import (
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/inbound"
	"tlsratchet/milter/wire"
)

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
	*inbound.Door
	elsewhere func(client *inbound.Client, port string) bool

	requests  atomic.Uint64
	misplaced atomic.Bool
	// ends are the listeners of Postfix that ask at the end of messages too, with how
	// many messages began since one ended.
	ends *lru.Cache[[2]string, *atomic.Int64]
}

const (
	// maxListeners is how many listeners are remembered.
	maxListeners = 256
	// manyBegan is after how many messages without an end a listener is held to ask
	// there no more: main.cf changed. Clients give some up.
	manyBegan = 100
)

// New makes a server. elsewhere, if not nil, reports whether the milter sees this
// connection of a client, from that port: its messages are judged and counted
// there.
func New(deps inbound.Deps, options inbound.Options, elsewhere func(client *inbound.Client, port string) bool, limits wire.DeskLimits) *Server {
	s := &Server{Door: inbound.New(deps, options), elsewhere: elsewhere}
	s.ends, _ = lru.New[[2]string, *atomic.Int64](maxListeners) // fails for no size alone
	s.Desk = wire.NewDesk("policy", limits, maxLine, s.serve, deps.Log)
	return s
}

// Stats returns the counts as they are now.
func (s *Server) Stats() Stats {
	return Stats{DeskStats: s.Desk.Stats(), Requests: s.requests.Load(), NoFacts: s.Door.NoFacts(), Failures: s.Door.Failures()}
}

// conn is one smtpd(8) process.
type conn struct {
	*Server
	request request // the last one
	client  inbound.Client
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
		if err := c.request.read(a.In); err != nil {
			return err
		}
		a.Out = append(append(append(a.Out, "action="...), c.answer()...), "\n\n"...)
	}
}

// endOfMessage is the state in which smtpd_end_of_data_restrictions ask.
const endOfMessage = "END-OF-MESSAGE"

// listenerOf returns the address and port of Postfix that the client came to.
func listenerOf(r *request) [2]string { return [2]string{r.text[serverAddress], r.text[serverPort]} }

// answer answers the request: whatever fails inside is no opinion of ours.
func (c *conn) answer() (action string) {
	defer c.recovered(&action)
	c.requests.Add(1)
	r := &c.request
	at := r.text[state]
	if r.text[kind] != "smtpd_access_policy" || at != "RCPT" && at != endOfMessage {
		if at != "VRFY" && !c.misplaced.Swap(true) { // for VRFY the same list is asked
			c.Log.Warn("policy request at a state that is not answered; put check_policy_service last in smtpd_recipient_restrictions", "state", clean.Text(at, 40))
		}
		return dunno
	}
	if id := r.text[instance]; id == "" || id != c.message.instance {
		c.message.close()
		c.begin()
	}
	if at == endOfMessage {
		if began, known, _ := c.ends.PeekOrAdd(listenerOf(r), new(atomic.Int64)); known {
			began.Store(0)
		}
		return c.message.end(r)
	}
	return c.message.recipient(r)
}

// recovered turns a panic into no opinion.
func (c *conn) recovered(action *string) {
	if p := recover(); p != nil {
		c.Panicked("panic in a policy request; answered DUNNO", p)
		c.message, *action = message{}, dunno
	}
}
