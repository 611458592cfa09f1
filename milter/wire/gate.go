package wire

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Gate accepts connections for a server that handles each in a goroutine of its
// own. It limits how many are open, waits out failures of the moment (EMFILE,
// ECONNABORTED), recovers from panics, and drains at the end. Make one with
// [NewGate]; call Serve once and Shutdown from another goroutine.
type Gate struct {
	name     string
	limit    int64
	log      *slog.Logger
	troubles sparse
	failures sparse

	accepted, open, overLimit, acceptErrors, panics atomic.Int64
	draining                                        atomic.Bool

	mu        sync.Mutex
	conns     map[net.Conn]struct{}
	listeners []net.Listener
	stop      chan struct{} // closed when draining begins
	serving   sync.WaitGroup
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
		troubles: sparse{perMinute: 1}, failures: sparse{perMinute: 1},
		conns: make(map[net.Conn]struct{}), stop: make(chan struct{}),
	}
}

// Stats returns the counts as they are now.
func (g *Gate) Stats() GateStats {
	return GateStats{
		Accepted: g.accepted.Load(), OverLimit: g.overLimit.Load(), Open: g.open.Load(),
		AcceptErrors: g.acceptErrors.Load(), Panics: g.panics.Load(),
	}
}

// Draining reports whether Shutdown was called. A handler that arms a read
// deadline checks it afterwards: Shutdown first sets it and then moves the
// deadlines of all connections into the past.
func (g *Gate) Draining() bool { return g.draining.Load() }

// Serve hands connections of the listeners, which it closes, to handle until
// Shutdown, and then returns nil. The connection is closed when handle returns.
// If a listener fails for good, Serve stops all of them and returns the error.
func (g *Gate) Serve(handle func(net.Conn), listeners ...net.Listener) error {
	g.mu.Lock()
	g.listeners = append(g.listeners, listeners...)
	drained := g.draining.Load()
	g.mu.Unlock()
	if drained {
		closeAll(listeners)
		return nil
	}
	failed := make(chan error, len(listeners))
	for _, ln := range listeners {
		go func() { failed <- g.serve(ln, handle) }()
	}
	var first error
	for range listeners {
		if err := <-failed; err != nil && first == nil {
			first = err
			g.beginDrain()
		}
	}
	return first
}

func (g *Gate) serve(ln net.Listener, handle func(net.Conn)) error {
	wait := firstBackOff
	for {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			wait = firstBackOff
			g.start(conn, handle)
			continue
		case g.draining.Load():
			return nil
		case final(err):
			return fmt.Errorf("accept on %s: %w", ln.Addr(), err)
		}
		g.acceptErrors.Add(1)
		if hidden, ok := g.failures.allow(time.Now()); ok {
			g.log.Error(g.name+" connections can't be accepted; trying again",
				"listener", ln.Addr().String(), "error", clean([]byte(err.Error()), 200), "not_logged", hidden)
		}
		select {
		case <-time.After(wait):
		case <-g.stop:
			return nil
		}
		wait = min(2*wait, maxBackOff)
	}
}

// start handles a connection, or closes it where there are too many: whoever
// asks must be answered fast or refused fast.
func (g *Gate) start(conn net.Conn, handle func(net.Conn)) {
	if g.open.Add(1) > g.limit {
		g.open.Add(-1)
		g.overLimit.Add(1)
		conn.Close()
		if hidden, ok := g.troubles.allow(time.Now()); ok {
			g.log.Warn(g.name+" connection refused: too many are open", "limit", g.limit, "not_logged", hidden)
		}
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.draining.Load() {
		g.open.Add(-1)
		conn.Close()
		return
	}
	g.conns[conn] = struct{}{}
	g.accepted.Add(1)
	g.serving.Go(func() { g.handle(conn, handle) })
}

func (g *Gate) handle(conn net.Conn, handle func(net.Conn)) {
	defer func() {
		if v := recover(); v != nil {
			g.panics.Add(1)
			g.log.Error(g.name+" connection closed: panic",
				"panic", clean(fmt.Append(nil, v), 200), "stack", clean(debug.Stack(), maxLogText))
		}
		conn.Close()
		g.mu.Lock()
		delete(g.conns, conn)
		g.mu.Unlock()
		g.open.Add(-1)
	}()
	handle(conn)
}

// Shutdown stops accepting, wakes every handler that waits for its client, and
// waits until all have returned or ctx ends; then it closes their connections
// and returns an error that wraps ctx's.
func (g *Gate) Shutdown(ctx context.Context) error {
	g.beginDrain()
	done := make(chan struct{})
	go func() { g.serving.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	cut := g.each(net.Conn.Close)
	if cut == 0 {
		return nil
	}
	return fmt.Errorf("%d %s connections cut: %w", cut, g.name, ctx.Err())
}

func (g *Gate) beginDrain() {
	g.mu.Lock()
	if !g.draining.Swap(true) {
		close(g.stop)
	}
	listeners := g.listeners
	g.mu.Unlock()
	closeAll(listeners)
	g.each(func(c net.Conn) error { return c.SetReadDeadline(time.Unix(1, 0)) })
}

func (g *Gate) each(do func(net.Conn) error) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		do(c)
	}
	return len(g.conns)
}
