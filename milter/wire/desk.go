package wire

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
)

// DeskLimits are what a [Desk] grants its clients. All must be positive.
type DeskLimits struct {
	// Connections is how many may be open at once, over all listeners. Each takes
	// as much memory as its buffer, and 3 KiB.
	Connections int
	// Idle is how long a client may be silent between two requests.
	Idle time.Duration
	// Request is how long a client may take for its first request, and for each
	// that it has begun; Write how long it may take to accept an answer. Idle and
	// Write are set seldom: a client gets up to a quarter more.
	Request, Write time.Duration
}

// DeskStats are counts since the desk was made.
type DeskStats struct {
	GateStats
	// Refused counts connections closed because of what came on them, Timeouts those
	// closed at a deadline, Broken those that ended within a request or by an error of
	// the network.
	Refused, Timeouts, Broken uint64
}

// ErrRefused is what a connection ends with for what came on it.
var ErrRefused = errors.New("refused")

// Desk serves clients that keep a connection and send one request after the
// other on it: Postfix's milter events, policy requests and look-ups.
type Desk struct {
	gate     *Gate
	limits   DeskLimits
	serve    func(*Asker) error
	askers   sync.Pool
	closings sparse

	refused, timeouts, broken atomic.Uint64
}

// NewDesk makes a desk. serve answers one client until it returns: nil or io.EOF
// where the client left. Requests are read by buffers of so many bytes.
func NewDesk(name string, limits DeskLimits, buffer int, serve func(*Asker) error, log *slog.Logger) *Desk {
	d := &Desk{gate: NewGate(name, limits.Connections, log), limits: limits, serve: serve}
	d.askers.New = func() any {
		a := &Asker{desk: d}
		a.In = bufio.NewReaderSize((*source)(a), buffer)
		return a
	}
	return d
}

// Stats returns the counts as they are now.
func (d *Desk) Stats() DeskStats {
	return DeskStats{GateStats: d.gate.Stats(), Refused: d.refused.Load(), Timeouts: d.timeouts.Load(), Broken: d.broken.Load()}
}

// Serve answers the connections of the listeners, which it closes, until
// Shutdown, and then returns nil. If a listener fails for good, it stops all of
// them and returns the error; the caller should still call Shutdown to wait for
// the connections.
func (d *Desk) Serve(listeners ...net.Listener) error { return d.gate.Serve(d.Handle, listeners...) }

// Shutdown ends all connections that wait for a request and are not busy, and
// waits for the others until ctx ends; then it cuts them, and returns an error
// that wraps ctx's. An answer that was written is sent in any case.
func (d *Desk) Shutdown(ctx context.Context) error { return d.gate.Shutdown(ctx) }

// Handle answers one connection until its end, and leaves it open.
func (d *Desk) Handle(raw net.Conn) {
	a := d.begin(raw)
	d.end(a, d.serve(a))
}

func (d *Desk) begin(raw net.Conn) *Asker {
	a := d.askers.Get().(*Asker)
	*a = Asker{In: a.In, Out: a.Out[:0], desk: d, raw: raw}
	a.In.Reset((*source)(a))
	return a
}

// end sends what is left, and counts and logs why the connection ended. The asker
// is another client's from now on.
func (d *Desk) end(a *Asker, err error) {
	d.count(a, errors.Join(a.flush(time.Now()), err))
	d.askers.Put(a)
}

func (d *Desk) count(a *Asker, err error) {
	level, count := slog.LevelWarn, &d.refused
	var next []byte
	switch {
	case err == nil, errors.Is(err, io.EOF), d.gate.killed.Load():
		return
	case errors.Is(err, ErrRefused):
		next, _ = a.In.Peek(min(a.In.Buffered(), 64))
	case errors.Is(err, os.ErrDeadlineExceeded):
		count = &d.timeouts
	default:
		level, count = slog.LevelDebug, &d.broken
	}
	count.Add(1)
	ctx, log := context.Background(), d.gate.log
	if !log.Enabled(ctx, level) {
		return
	}
	if hidden, ok := d.closings.allow(time.Now()); ok {
		log.Log(ctx, level, d.gate.name+" connection closed", "listener", a.raw.LocalAddr().String(),
			"from", a.raw.RemoteAddr().String(), "error", clean.Text(err.Error(), 200), "next", clean.Text(string(next), 64), "not_logged", hidden)
	}
}

// Asker is one client of a [Desk].
type Asker struct {
	// In is what the client sends. A read that has to wait sends Out first.
	In *bufio.Reader
	// Out is the answer.
	Out []byte
	// Busy has a drain wait for the client's next request: this one is part of
	// something that takes several.
	Busy bool

	desk              *Desk
	raw               net.Conn
	until, writeUntil time.Time // the deadlines as set
	waiting           bool      // for a request to begin
	part              bool      // until is that of a request that has begun
}

// Conn returns the connection, to ask who the client is.
func (a *Asker) Conn() net.Conn { return a.raw }

// Await returns the first byte of the next request, which it leaves in In.
func (a *Asker) Await() (byte, error) {
	a.waiting, a.part = true, false
	b, err := a.In.Peek(1)
	if err != nil {
		return 0, err
	}
	a.waiting = false
	return b[0], nil
}

// leaving reports whether the connection is to end here. It is asked after the
// deadline was set, so that Shutdown, which first drains and then moves the
// deadline, is not missed.
func (a *Asker) leaving() bool {
	g := a.desk.gate
	return g.draining.Load() && (a.waiting && !a.Busy || g.killed.Load())
}

// arm sets the deadline of the next read, where it must: the idle deadline after a
// quarter of it has passed, the deadline of a request once. So a client that sends
// byte by byte gains no time.
func (a *Asker) arm(now time.Time) {
	limits := &a.desk.limits
	switch {
	case a.waiting && !a.until.IsZero():
		if a.until.Sub(now) < limits.Idle {
			a.setRead(now.Add(limits.Idle + limits.Idle/4))
		}
	case !a.part:
		a.part = true
		a.setRead(now.Add(limits.Request))
	}
}

func (a *Asker) setRead(until time.Time) {
	a.until = until
	a.raw.SetReadDeadline(until)
}

func (a *Asker) flush(now time.Time) error {
	if len(a.Out) == 0 {
		return nil
	}
	if limit := a.desk.limits.Write; a.writeUntil.Sub(now) < limit {
		a.writeUntil = now.Add(limit + limit/4)
		a.raw.SetWriteDeadline(a.writeUntil)
	}
	_, err := a.raw.Write(a.Out)
	a.Out = a.Out[:0]
	return err
}

// source is an [Asker] as what its In reads from.
type source Asker

// Read sends what is to be sent, and reads once from the network.
func (s *source) Read(p []byte) (int, error) {
	a := (*Asker)(s)
	now := time.Now()
	if err := a.flush(now); err != nil {
		return 0, err
	}
	a.arm(now)
	for {
		if a.leaving() {
			return 0, io.EOF
		}
		n, err := a.raw.Read(p)
		if errors.Is(err, io.EOF) && !a.waiting {
			err = io.ErrUnexpectedEOF
		}
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(a.until) {
			return n, err
		}
		a.setRead(a.until) // Shutdown moved it to wake us
	}
}
