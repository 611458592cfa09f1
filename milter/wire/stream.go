package wire

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// receive reads once from the network, after it has sent what was gathered.
func (c *conn) receive(p []byte) (int, error) {
	if c.dead {
		return 0, io.EOF
	}
	now := time.Now()
	if err := c.flush(now); err != nil {
		return 0, c.broken(err)
	}
	for {
		c.armRead(now)
		if c.leaving() {
			return 0, io.EOF
		}
		n, err := c.raw.Read(p)
		if n > 0 {
			return n, nil
		}
		// Shutdown moves the deadline to wake us: not ours, so go round.
		if now = time.Now(); errors.Is(err, os.ErrDeadlineExceeded) && now.Before(c.until) {
			c.raw.SetReadDeadline(c.until)
			continue
		}
		if err != nil {
			return 0, c.broken(err)
		}
	}
}

// between reports whether nothing of a next packet is here.
func (c *conn) between() bool { return c.r == c.w && c.pass == 0 }

// leaving reports whether the session is to end here: at once, or because it is
// between two messages. It is asked after the deadline was set, so that
// Shutdown, which first says so and then moves the deadline, is not missed.
func (c *conn) leaving() bool {
	return c.srv.gate.killed.Load() || c.srv.gate.draining.Load() && !c.busy && c.between()
}

// armRead sets the read deadline, seldom: the idle one is renewed once a
// quarter of it has passed, and lasts that much longer. That of a packet, and
// of the negotiation, is set once when it begins, so that dripping bytes gains
// nothing.
func (c *conn) armRead(now time.Time) {
	limits := &c.srv.limits
	if !c.greeted || !c.between() {
		if !c.framed {
			c.setRead(now.Add(limits.Packet))
			c.framed = true
		}
		return
	}
	if c.until.Sub(now) < limits.Idle {
		c.setRead(now.Add(limits.Idle + limits.Idle/4))
	}
}

func (c *conn) setRead(t time.Time) {
	c.until = t
	c.raw.SetReadDeadline(t)
}

// Write takes what go-milter says and keeps it until the next read.
func (c *conn) Write(p []byte) (int, error) {
	if c.reply != nil && len(c.reply.out)+len(p) > maxGathered {
		if err := c.flush(time.Now()); err != nil {
			return 0, err
		}
	}
	if c.reply == nil {
		c.reply = replyPool.Get().(*reply)
	}
	c.reply.out = append(c.reply.out, p...)
	c.replies.scan(p, func(code byte) {
		if endsMessage(c.last, code) {
			c.busy = false
		}
	})
	return len(p), nil
}

// flush sends what was gathered. Its deadline, too, is set seldom.
func (c *conn) flush(now time.Time) error {
	if c.reply == nil {
		return nil
	}
	limit := c.srv.limits.Write
	if c.writeUntil.Sub(now) < limit {
		c.writeUntil = now.Add(limit + limit/4)
		c.raw.SetWriteDeadline(c.writeUntil)
	}
	_, err := c.raw.Write(c.reply.out)
	if c.reply.out = c.reply.out[:0]; cap(c.reply.out) <= inSize {
		replyPool.Put(c.reply)
	}
	c.reply = nil
	return err
}

// Close sends what is left and closes the connection. go-milter calls it once,
// at the end of the session's goroutine; nothing may be called after it.
func (c *conn) Close() error {
	if c.buf == nil {
		return nil
	}
	if err := c.flush(time.Now()); err != nil && !c.dead {
		c.broken(err)
	}
	err := c.raw.Close()
	bufferPool.Put(c.buf)
	c.buf = nil
	c.srv.gate.release(c.raw)
	return err
}

// refuse ends the connection for what came on it.
func (c *conn) refuse(counter *atomic.Int64, why string) error {
	counter.Add(1)
	c.dead = true
	c.logClosed(slog.LevelWarn, why, slog.String("got", clean(c.buf.in[c.r:min(c.w, c.r+64)], 64)))
	return io.EOF
}

// broken ends the connection for an error of reading or writing.
func (c *conn) broken(err error) error {
	quiet := errors.Is(err, io.EOF) && c.between()
	c.dead = true
	switch {
	case quiet || c.srv.gate.killed.Load():
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.srv.counts.timeouts.Add(1)
		c.logClosed(slog.LevelWarn, "silent for too long")
	default:
		c.srv.counts.broken.Add(1)
		c.logClosed(slog.LevelDebug, "broken off", slog.String("error", clean([]byte(err.Error()), 200)))
	}
	return io.EOF
}

func (c *conn) logClosed(level slog.Level, why string, more ...slog.Attr) {
	hidden, ok := c.srv.refusals.allow(time.Now())
	if !ok {
		return
	}
	attrs := append(more,
		slog.String("why", why),
		slog.String("listener", c.raw.LocalAddr().String()),
		slog.String("from", c.raw.RemoteAddr().String()),
		slog.Int("not_logged", hidden))
	c.srv.log.LogAttrs(context.Background(), level, "milter connection closed", attrs...)
}
