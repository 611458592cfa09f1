package wire

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-milter"
)

// cutGrace is what sessions have to end by themselves once Shutdown's time is
// over, before their connections are closed under them.
const cutGrace = 200 * time.Millisecond

// Server serves milter clients on any number of listeners. Make one with
// [New]; call Serve once and Shutdown from another goroutine.
type Server struct {
	config     Config
	limits     Limits
	keepHeader func(name []byte) bool
	log        *slog.Logger
	counts     counters
	refusals   sparse // log lines for closed connections
	troubles   sparse // for the limit
	failures   sparse // for failed accepts

	draining atomic.Bool // no new connections; sessions end between messages
	killed   atomic.Bool // sessions end at their next read

	mu        sync.Mutex
	conns     map[*conn]struct{}
	listeners []net.Listener
	stop      chan struct{} // closed when draining begins
	empty     chan struct{} // closed when draining and no session is left
	accepting sync.WaitGroup
}

// New makes a server. The error wraps [ErrConfig].
func New(config Config) (*Server, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	config.Protocol |= milter.OptNoUnknown
	return &Server{
		config:     config,
		limits:     config.Limits,
		keepHeader: config.KeepHeader,
		log:        config.Log,
		refusals:   sparse{perMinute: 60},
		troubles:   sparse{perMinute: 1},
		failures:   sparse{perMinute: 1},
		conns:      make(map[*conn]struct{}),
		stop:       make(chan struct{}),
		empty:      make(chan struct{}),
	}, nil
}

// Stats returns the counts as they are now.
func (s *Server) Stats() Stats { return s.counts.snapshot() }

// Serve takes connections from the listeners, which are its own from now on,
// until Shutdown, and then returns nil. If a listener fails for good, Serve
// stops all of them and returns the error; sessions go on to the end of their
// message, and the caller should still call Shutdown to wait for them.
func (s *Server) Serve(listeners ...net.Listener) error {
	s.mu.Lock()
	s.listeners = append(s.listeners, listeners...)
	if s.draining.Load() {
		s.mu.Unlock()
		closeAll(listeners)
		return nil
	}
	s.accepting.Add(len(listeners))
	s.mu.Unlock()

	failed := make(chan error, len(listeners))
	for _, ln := range listeners {
		go func() {
			defer s.accepting.Done()
			failed <- s.serve(ln)
		}()
	}
	var first error
	for range listeners {
		if err := <-failed; err != nil && first == nil {
			first = err
			s.beginDrain()
		}
	}
	return first
}

// serve runs a go-milter server of its own on one listener: its list of
// listeners is not safe for several, and its Close races with Serve, so that
// is never called.
func (s *Server) serve(ln net.Listener) error {
	inner := &milter.Server{
		NewMilter: s.backend,
		Actions:   s.config.Actions,
		Protocol:  s.config.Protocol,
		SymList:   s.config.SymList,
	}
	err := inner.Serve(&listener{Listener: ln, srv: s})
	if s.draining.Load() {
		return nil
	}
	return fmt.Errorf("accept on %s: %w", ln.Addr(), err)
}

// backend makes a session's callbacks. go-milter calls it in its accept loop,
// where a panic would end the process.
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
func (s *Server) Shutdown(ctx context.Context) error {
	s.beginDrain()
	s.accepting.Wait()
	select {
	case <-s.empty:
		return nil
	case <-ctx.Done():
	}
	s.killed.Store(true)
	cut := s.wake()
	if cut == 0 {
		return nil
	}
	grace := time.NewTimer(cutGrace)
	defer grace.Stop()
	select {
	case <-s.empty:
	case <-grace.C:
		s.cut()
	}
	return fmt.Errorf("%d milter sessions cut: %w", cut, ctx.Err())
}

func (s *Server) beginDrain() {
	s.mu.Lock()
	if !s.draining.Swap(true) {
		close(s.stop)
		s.checkEmpty()
	}
	listeners := s.listeners
	s.mu.Unlock()
	closeAll(listeners)
	s.wake()
}

func closeAll(listeners []net.Listener) {
	for _, ln := range listeners {
		ln.Close()
	}
}

// wake makes every session that is waiting for its client look up.
func (s *Server) wake() (sessions int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.raw.SetReadDeadline(time.Unix(1, 0))
	}
	return len(s.conns)
}

// cut closes what is left, under the sessions.
func (s *Server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.raw.Close()
	}
}

// add notes a new connection, unless the server is going.
func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.counts.open.Add(-1)
	if s.draining.Load() {
		s.checkEmpty()
	}
}

// checkEmpty needs mu and draining.
func (s *Server) checkEmpty() {
	if len(s.conns) > 0 {
		return
	}
	select {
	case <-s.empty:
	default:
		close(s.empty)
	}
}
