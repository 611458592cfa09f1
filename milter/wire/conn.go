package wire

import (
	"io"
	"net"
	"runtime"
	"sync"
	"time"
)

const (
	// firstSize holds what Postfix says up to MAIL. Thousands of connections
	// that never say more take no more.
	firstSize = 1 << 10
	// inSize holds a whole message's packets in most cases: Postfix writes
	// 4 KiB at a time.
	inSize = 8 << 10
	// maxGathered is how much is held back until the next read.
	maxGathered = 64 << 10
)

// buffers are what a connection needs while it lives, kept for the next one.
type buffers struct {
	in     []byte // of firstSize, and of inSize once a read has filled that
	macros []byte // as go-milter was given them last
}

// reply is what was gathered. Whoever waits for a client has none.
type reply struct{ out []byte }

var (
	bufferPool = sync.Pool{New: func() any { return &buffers{in: make([]byte, firstSize)} }}
	replyPool  = sync.Pool{New: func() any { return &reply{out: make([]byte, 0, 512)} }}
)

// conn is one connection as go-milter sees it. Read gives it nothing but whole
// packets with a known command and a sane length; Write gathers until there is
// nothing left to read. Read, Write and Close belong to the one goroutine of
// the session; other goroutines may only move the deadline of raw or close it.
//
// Read reports every end as io.EOF, which go-milter takes without a word: what
// is known of it was counted and logged here.
type conn struct {
	raw   net.Conn
	srv   *Server
	buf   *buffers
	reply *reply // nil for nothing
	r, w  int    // what was read and not yet delivered: buf.in[r:w]

	pass    int  // bytes of the current packet still to be delivered
	greeted bool // the negotiation came, and was answered
	busy    bool // in the middle of a message
	dead    bool // refused or broken: nothing more is read
	last    byte // the command that was delivered last
	replies replyScanner

	until      time.Time // read deadline as set
	framed     bool      // until belongs to a packet that has begun
	writeUntil time.Time // write deadline as set
}

func newConn(raw net.Conn, srv *Server) *conn {
	c := &conn{raw: raw, srv: srv, buf: bufferPool.Get().(*buffers)}
	c.buf.macros = c.buf.macros[:0] // another client's
	return c
}

// Read delivers from one packet at a time.
func (c *conn) Read(p []byte) (int, error) {
	if !c.greeted {
		growStack()
	}
	if c.pass == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	p = p[:min(len(p), c.pass)]
	if c.r == c.w {
		if len(p) >= inSize { // a body chunk needs no copy
			n, err := c.receive(p)
			c.pass -= n
			return n, err
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.buf.in[c.r:c.w])
	c.r += n
	c.pass -= n
	return n, nil
}

// growStack makes the stack of a new session as large as a decision needs: Go
// would double it step by step, and copy it each time.
//
//go:noinline
func growStack() {
	var room [6 << 10]byte
	runtime.KeepAlive(&room)
}

// next finds the next packet for go-milter, and stops at the first that is
// none. What fits into the buffer is waited for whole, so that a client that
// stops half-way troubles nobody but itself.
func (c *conn) next() error {
	for !c.dead {
		c.framed = false // each packet has a time of its own
		if err := c.await(lengthSize); err != nil {
			return err
		}
		length := frameLength(c.buf.in[c.r:])
		if !c.greeted {
			if err := c.greet(length); err != nil {
				return err
			}
			continue
		}
		if length == 0 {
			return c.refuse(&c.srv.counts.badFrame, "empty packet")
		}
		if length > c.srv.limits.Frame {
			return c.refuse(&c.srv.counts.frameTooBig, "packet too big")
		}
		if err := c.await(min(lengthSize+length, inSize)); err != nil {
			return err
		}
		if c.skipRepeat() {
			continue
		}
		cmd := c.buf.in[c.r+lengthSize]
		if !known(cmd) {
			return c.refuse(&c.srv.counts.badFrame, "unknown command")
		}
		if cmd == cmdQuitNC { // go-milter has no second session on a connection
			return io.EOF
		}
		c.pass = lengthSize + length
		c.busy = inMessage(cmd, c.busy)
		if c.wanted(cmd, length) {
			c.last = cmd
			c.remember(cmd, length)
			return nil
		}
		if err := c.drop(); err != nil {
			return err
		}
	}
	return io.EOF
}

// greet looks at the first packet, before it is believed, and answers it.
func (c *conn) greet(length int) error {
	if length >= optNegLength && length <= c.srv.limits.Frame {
		if err := c.await(headSize); err != nil {
			return err
		}
		c.greeted = c.buf.in[c.r+lengthSize] == cmdOptNeg
	}
	if !c.greeted {
		return c.refuse(&c.srv.counts.notMilter, "not a milter client")
	}
	if _, err := c.Write(c.srv.negotiation); err != nil {
		return err
	}
	c.pass = lengthSize + length
	return c.drop()
}

// wanted reports whether go-milter is given a packet: not a header that nobody
// asked for, and not the macros of an event that does not come, or of one header.
func (c *conn) wanted(cmd byte, length int) bool {
	keep := c.srv.keepHeader
	data := c.buf.in[c.r+headSize : c.r+min(lengthSize+length, inSize)]
	switch {
	case cmd == cmdMacro && len(data) > 0:
		return !(keep != nil && data[0] == cmdHeader) && c.srv.config.Protocol&leavesOut(data[0]) == 0
	case cmd == cmdHeader && keep != nil:
		name := headerName(data)
		return len(name) > 0 && keep(name)
	}
	return true
}

// drop passes over the rest of the current packet.
func (c *conn) drop() error {
	for {
		n := min(c.pass, c.w-c.r)
		c.r += n
		c.pass -= n
		if c.pass == 0 {
			return nil
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// await makes buf.in[r:] hold at least n bytes, n being at most inSize.
func (c *conn) await(n int) error {
	for c.w-c.r < n {
		if err := c.fill(); err != nil {
			return err
		}
	}
	return nil
}

// fill reads once into the buffer.
func (c *conn) fill() error {
	c.makeRoom()
	n, err := c.receive(c.buf.in[c.w:])
	c.w += n
	return err
}

// makeRoom moves what is left in a buffer that is full, or has nothing left, to
// its beginning.
func (c *conn) makeRoom() {
	in, full := c.buf.in, c.w == len(c.buf.in)
	if !full && c.r < c.w {
		return
	}
	if full && len(in) < inSize {
		c.buf.in = make([]byte, inSize)
	}
	c.w = copy(c.buf.in, in[c.r:c.w])
	c.r = 0
}

// The rest of net.Conn. go-milter's server uses none of it.

func (c *conn) LocalAddr() net.Addr                { return c.raw.LocalAddr() }
func (c *conn) RemoteAddr() net.Addr               { return c.raw.RemoteAddr() }
func (c *conn) SetDeadline(t time.Time) error      { return c.raw.SetDeadline(t) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.raw.SetReadDeadline(t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.raw.SetWriteDeadline(t) }
