package wire

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/emersion/go-milter"
)

// Server serves milter clients on any number of listeners. Make one with
// [New]; call Serve once and Shutdown from another goroutine.
type Server struct {
	gate       *Gate
	config     Config
	limits     Limits
	keepHeader func(name []byte) bool
	log        *slog.Logger
	// negotiation is the reply to every client's.
	negotiation []byte
	counts      counters
	refusals    sparse // log lines for closed connections
}

// New makes a server. The error wraps [ErrConfig].
func New(config Config) (*Server, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	config.Protocol |= milter.OptNoUnknown
	return &Server{
		gate:        NewGate("milter", config.Limits.Connections, config.Log),
		config:      config,
		limits:      config.Limits,
		keepHeader:  config.KeepHeader,
		log:         config.Log,
		negotiation: negotiation(config),
		refusals:    sparse{perMinute: 60},
	}, nil
}

// Stats returns the counts as they are now.
func (s *Server) Stats() Stats { return s.counts.snapshot(s.gate.Stats()) }

// Serve takes connections from the listeners, which are its own from now on,
// until Shutdown, and then returns nil. If a listener fails for good, Serve
// stops all of them and returns the error; sessions go on to the end of their
// message, and the caller should still call Shutdown to wait for them.
func (s *Server) Serve(listeners ...net.Listener) error { return s.gate.serve(listeners, s.serve) }

// serve gives each connection of a listener to a go-milter server of its own,
// which starts the session's goroutine and returns: so that the callbacks know
// their connection.
func (s *Server) serve(ln net.Listener) error {
	for {
		raw, err := s.gate.accept(ln)
		if err != nil {
			return err
		}
		c := newConn(raw, s)
		callbacks := &answering{Milter: s.backend(), conn: c}
		inner := milter.Server{NewMilter: func() milter.Milter { return callbacks }}
		_ = inner.Serve(&once{conn: c}) // ends with the end of the listener
	}
}

// backend makes a connection's callbacks. It is called in the accept loop, where
// a panic would end the process.
func (s *Server) backend() (m milter.Milter) {
	defer func() {
		if v := recover(); v != nil {
			s.counts.backendPanics.Add(1)
			s.log.Error("panic while creating a milter session; all its mail is accepted",
				"panic", clean(fmt.Append(nil, v), 200))
			m = acceptAll{protocol: s.config.Protocol}
		}
	}()
	return s.config.Backend()
}

// Shutdown stops accepting and closes the sessions that are between two
// messages; it waits for those within one until ctx ends, and then cuts them,
// after which it returns an error that wraps ctx's. A reply that was written
// is sent in any case. A session whose callback is still running is left
// behind without a connection.
func (s *Server) Shutdown(ctx context.Context) error { return s.gate.Shutdown(ctx) }
