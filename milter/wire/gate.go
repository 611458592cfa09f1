package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tlsratchet/internal/clean"
)

// cutGrace is what sessions have to end by themselves once Shutdown's time is
// over, before their connections are closed under them.
const cutGrace = 200 * time.Millisecond

// How long to wait after a failed accept: the first time, and at most.
const (
	firstBackOff = 5 * time.Millisecond
	maxBackOff   = time.Second
)

// Gate accepts connections for a server. It limits how many are open, waits out
// failures of the moment (EMFILE, ECONNABORTED), and drains at the end. Make one
// with [NewGate]; call Serve once for each set of listeners, and Shutdown from
// another goroutine.
type Gate struct {
	name     string
	limit    int64
	log      *slog.Logger
	troubles sparse // for the limit
	failures sparse // for failed accepts
	stacks   clean.Panics

	accepted, open, overLimit, acceptErrors, panics atomic.Int64

	draining atomic.Bool // no new connections
	killed   atomic.Bool // sessions end at their next read

	mu        sync.Mutex
	conns     map[net.Conn]struct{}
	listeners []net.Listener
	stop      chan struct{} // closed when draining begins
	empty     chan struct{} // closed when draining and no connection is left
}

// GateStats are counts of connections since the gate was made, but for Open.
type GateStats struct {
	// Accepted counts those that were handled, OverLimit those that were closed
	// at once because too many were open.
	Accepted, OverLimit int64
	// Open is how many there are now.
	Open int64
	// AcceptErrors counts failed calls of Accept, Panics those of handlers.
	AcceptErrors, Panics int64
}

// NewGate makes a gate for at most limit connections at once. Log lines call
// them by the name.
func NewGate(name string, limit int, log *slog.Logger) *Gate {
	return &Gate{
		name: name, limit: int64(limit), log: log,
		conns: make(map[net.Conn]struct{}), stop: make(chan struct{}), empty: make(chan struct{}),
	}
}

// Stats returns the counts as they are now.
func (g *Gate) Stats() GateStats {
	return GateStats{
		Accepted: g.accepted.Load(), OverLimit: g.overLimit.Load(), Open: g.open.Load(),
		AcceptErrors: g.acceptErrors.Load(), Panics: g.panics.Load(),
	}
}

// Serve hands connections of the listeners, which it closes, to handle, each in
// a goroutine of its own, until Shutdown, and then returns nil. The connection
// is closed when handle returns or panics. If a listener fails for good, Serve
// stops all of them and returns the error.
func (g *Gate) Serve(handle func(net.Conn), listeners ...net.Listener) error {
	return g.serve(listeners, func(conn net.Conn) { go g.handle(conn, handle) })
}

// serve is Serve for a handler that starts a goroutine of its own, which closes the
// connection and releases it.
func (g *Gate) serve(listeners []net.Listener, start func(net.Conn)) error {
	g.mu.Lock()
	g.listeners = append(g.listeners, listeners...)
	drained := g.draining.Load()
	g.mu.Unlock()
	if drained {
		CloseAll(listeners)
		return nil
	}
	failed := make(chan error, len(listeners))
	for _, ln := range listeners {
		go func() {
			ln := quick(ln)
			for {
				conn, err := g.accept(ln)
				if err != nil {
					failed <- fmt.Errorf("accept on %s: %w", ln.Addr(), err)
					return
				}
				start(conn)
			}
		}()
	}
	var first error
	for range listeners {
		if err := <-failed; !g.draining.Load() {
			first = err
			g.beginDrain()
		}
	}
	return first
}

// accept waits for a connection that may be served; it is to be released. It
// fails only when the listener was closed or never can accept again.
func (g *Gate) accept(ln net.Listener) (net.Conn, error) {
	wait := firstBackOff
	for {
		conn, err := ln.Accept()
		switch {
		case err == nil && g.admit(conn):
			return conn, nil
		case err == nil:
			wait = firstBackOff
			continue
		case final(err) || g.draining.Load():
			return nil, err
		}
		g.acceptErrors.Add(1)
		if hidden, ok := g.failures.allow(time.Now()); ok {
			g.log.Error(g.name+" connections can't be accepted; trying again",
				"listener", ln.Addr().String(), "error", clean.Text(err.Error(), 200), "not_logged", hidden)
		}
		select {
		case <-time.After(wait):
		case <-g.stop:
			return nil, net.ErrClosed
		}
		wait = min(2*wait, maxBackOff)
	}
}

// final reports whether an error is of the listener itself and not of the moment.
func final(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EBADF) ||
		errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSOCK)
}

// admit counts a connection, or closes it where there are too many: whoever
// asks must be answered fast or refused fast, for Postfix makes its own client
// wait meanwhile.
func (g *Gate) admit(conn net.Conn) bool {
	if g.open.Add(1) > g.limit {
		g.open.Add(-1)
		g.overLimit.Add(1)
		conn.Close()
		if hidden, ok := g.troubles.allow(time.Now()); ok {
			g.log.Warn(g.name+" connection refused: too many are open", "limit", g.limit, "not_logged", hidden)
		}
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.draining.Load() {
		g.open.Add(-1)
		conn.Close()
		return false
	}
	g.conns[conn] = struct{}{}
	g.accepted.Add(1)
	return true
}

// release closes a connection that nobody uses any more, and forgets it.
func (g *Gate) release(conn net.Conn) {
	_ = retire(conn)
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, conn)
	g.open.Add(-1)
	g.checkEmpty()
}

// checkEmpty needs mu. Call it when draining begins, and for each connection that is
// removed: none is added then.
func (g *Gate) checkEmpty() {
	if g.draining.Load() && len(g.conns) == 0 {
		close(g.empty)
	}
}

func (g *Gate) handle(conn net.Conn, handle func(net.Conn)) {
	defer func() {
		if v := recover(); v != nil {
			g.panics.Add(1)
			g.stacks.Log(g.log, g.name+" connection closed: panic", v)
		}
		g.release(conn)
	}()
	handle(conn)
}

// Shutdown stops accepting, wakes every session that waits for its client, and
// waits until all have ended or ctx ends; then it cuts them and returns an error
// that wraps ctx's.
func (g *Gate) Shutdown(ctx context.Context) error {
	g.beginDrain()
	select {
	case <-g.empty:
		return nil
	case <-ctx.Done():
	}
	g.killed.Store(true)
	cut := g.wake()
	if cut == 0 {
		return nil
	}
	select {
	case <-g.empty:
	case <-time.After(cutGrace):
		g.each(net.Conn.Close)
	}
	return fmt.Errorf("%d %s connections cut: %w", cut, g.name, ctx.Err())
}

func (g *Gate) beginDrain() {
	g.mu.Lock()
	if !g.draining.Swap(true) {
		close(g.stop)
		g.checkEmpty()
	}
	listeners := g.listeners
	g.mu.Unlock()
	CloseAll(listeners)
	g.wake()
}

// CloseAll closes listeners.
func CloseAll(listeners []net.Listener) {
	for _, ln := range listeners {
		ln.Close()
	}
}

// wake makes every session that waits for its client look up.
func (g *Gate) wake() (sessions int) {
	return g.each(func(c net.Conn) error { return c.SetReadDeadline(time.Unix(1, 0)) })
}

func (g *Gate) each(do func(net.Conn) error) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		do(c)
	}
	return len(g.conns)
}
