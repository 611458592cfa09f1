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
)

// DeskLimits are what a [Desk] grants its clients. All must be positive.
type DeskLimits struct {
	// Connections is how many may be open at once, over all listeners.
	Connections int
	// Idle is how long a client may be silent between two requests.
	Idle time.Duration
	// Request is how long a client may take for a request that it has begun,
	// and Write how long it may take to accept an answer. Idle and Write are set
	// seldom: a client gets up to a quarter more.
	Request, Write time.Duration
}

// DeskStats are counts since the desk was made.
type DeskStats struct {
	GateStats
	// Refused counts connections closed for what came on them, Timeouts those
	// closed because a deadline had passed.
	Refused, Timeouts uint64
}

// ErrRefused is what a connection ends with for what came on it.
var ErrRefused = errors.New("refused")

// Desk serves clients that keep a connection and send one request after the
// other on it, such as Postfix's look-ups and policy requests.
type Desk struct {
	gate     *Gate
	limits   DeskLimits
	serve    func(*Asker) error
	readers  sync.Pool
	closings sparse

	refused, timeouts atomic.Uint64
}

// NewDesk makes a desk. serve answers one client until it returns an error: io.EOF
// where the client left. Requests are read by buffers of so many bytes.
func NewDesk(name string, limits DeskLimits, buffer int, serve func(*Asker) error, log *slog.Logger) *Desk {
	return &Desk{
		gate: NewGate(name, limits.Connections, log), limits: limits, serve: serve, closings: sparse{perMinute: 1},
		readers: sync.Pool{New: func() any { return bufio.NewReaderSize(nil, buffer) }},
	}
}

// Stats returns the counts as they are now.
func (d *Desk) Stats() DeskStats {
	return DeskStats{GateStats: d.gate.Stats(), Refused: d.refused.Load(), Timeouts: d.timeouts.Load()}
}

// Serve answers the connections of the listeners until Shutdown.
func (d *Desk) Serve(listeners ...net.Listener) error { return d.gate.Serve(d.Handle, listeners...) }

// Shutdown ends all connections that wait for a request, and waits for the
// others until ctx ends.
func (d *Desk) Shutdown(ctx context.Context) error { return d.gate.Shutdown(ctx) }

// Handle answers one connection until its end, and leaves it open.
func (d *Desk) Handle(raw net.Conn) {
	a := &Asker{In: d.readers.Get().(*bufio.Reader), desk: d, raw: raw}
	a.In.Reset(raw)
	err := d.serve(a)
	err = errors.Join(a.flush(), err)
	switch {
	case errors.Is(err, io.EOF) || d.gate.Draining():
	case errors.Is(err, ErrRefused):
		d.refused.Add(1)
		head, _ := a.In.Peek(min(a.In.Buffered(), 64))
		d.complain(raw, err, head)
	case errors.Is(err, os.ErrDeadlineExceeded):
		d.timeouts.Add(1)
	default:
		d.complain(raw, err, nil)
	}
	a.In.Reset(nil)
	d.readers.Put(a.In)
}

// complain logs that a connection was closed, with what came next on it.
func (d *Desk) complain(raw net.Conn, err error, next []byte) {
	hidden, ok := d.closings.allow(time.Now())
	if !ok {
		return
	}
	d.gate.log.Warn(d.gate.name+" connection closed", "listener", raw.LocalAddr().String(),
		"error", clean([]byte(err.Error()), 200), "next", clean(next, 64), "not_logged", hidden)
}

// Asker is one client of a [Desk].
type Asker struct {
	// In is what the client sends. Call Begun before a read of it may wait.
	In *bufio.Reader
	// Out is the answer: Await sends it before it waits.
	Out []byte

	desk              *Desk
	raw               net.Conn
	until, writeUntil time.Time // the deadlines as set
	part              bool      // until is that of a request of which a part is here
}

// Conn returns the connection, to ask who the client is.
func (a *Asker) Conn() net.Conn { return a.raw }

// Await returns the first byte of the next request, which it leaves in In.
func (a *Asker) Await() (byte, error) {
	a.part = false
	if a.In.Buffered() == 0 {
		if err := a.flush(); err != nil {
			return 0, err
		}
		if now := time.Now(); a.until.Sub(now) < a.desk.limits.Idle {
			a.arm(now.Add(a.desk.limits.Idle + a.desk.limits.Idle/4))
		}
		if a.desk.gate.Draining() {
			return 0, io.EOF
		}
	}
	b, err := a.In.Peek(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// Begun sets the deadline of a request of which only a part is here, once.
func (a *Asker) Begun() {
	if !a.part {
		a.part = true
		a.arm(time.Now().Add(a.desk.limits.Request))
	}
}

func (a *Asker) arm(until time.Time) {
	a.until = until
	a.raw.SetReadDeadline(until)
}

func (a *Asker) flush() error {
	if len(a.Out) == 0 {
		return nil
	}
	limit := a.desk.limits.Write
	if now := time.Now(); a.writeUntil.Sub(now) < limit {
		a.writeUntil = now.Add(limit + limit/4)
		a.raw.SetWriteDeadline(a.writeUntil)
	}
	_, err := a.raw.Write(a.Out)
	a.Out = a.Out[:0]
	return err
}
