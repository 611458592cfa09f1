package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emersion/go-milter"
)

const (
	// inSize holds a whole message's packets in most cases: Postfix writes
	// 4 KiB at a time.
	inSize = 4 << 10
	// maxFrame is the largest length of a packet that is believed. Postfix's largest
	// is a body chunk of 65,535 bytes.
	maxFrame = 64 << 10
	// maxGathered is how much is held back until the next read.
	maxGathered = 64 << 10
	// maxKept is how long a packet of macros may be to be remembered. Ours are
	// some 400 bytes.
	maxKept = 1 << 10
)

// conn is a connection as go-milter sees it: all clients of one session, one after the
// other, for a new session takes a goroutine whose stack has to grow. Read gives it
// nothing but whole packets with a known command and a sane length; Write gathers until
// there is nothing left to read. All belong to the one goroutine of the session, but for
// clients.
//
// Read reports the end of the last client as io.EOF, for which go-milter logs nothing.
// Of the rest of net.Conn it uses nothing.
type conn struct {
	*Asker // the client, or nil between two
	net.Conn
	srv       *Server
	callbacks answering
	clients   chan net.Conn // the next one, where the session is idle; closed for the end

	stale   bool   // go-milter has macros or headers of the client before
	own     []byte // what go-milter gets before the current packet
	pass    int    // bytes of the current packet still to be delivered
	greeted bool   // the negotiation came, and was answered
	macros  []byte // as go-milter was given them last
}

// abort makes go-milter forget what it has of a client.
var abort = []byte{lengthSize - 1: 1, byte(milter.CodeAbort)}

// Read delivers from one packet at a time.
func (c *conn) Read(p []byte) (n int, err error) {
	for len(c.own) == 0 && c.pass == 0 {
		if !c.advance() {
			return 0, io.EOF
		}
	}
	if len(c.own) > 0 {
		n = copy(p, c.own)
		c.own = c.own[n:]
		return n, nil
	}
	n, err = c.In.Read(p[:min(len(p), c.pass)])
	c.pass -= n
	if err != nil { // within a packet: go-milter can't go on
		c.end(err)
		close(c.clients)
		return 0, io.EOF
	}
	return n, nil
}

// advance finds the client's next packet, or ends with the client and waits for the
// next one at the next call. There is none any more where it returns false.
func (c *conn) advance() bool {
	if c.Asker == nil {
		raw, more := <-c.clients
		if !more {
			return false
		}
		c.start(raw)
	}
	if !c.greeted {
		growStack()
	}
	if err := c.next(); err != nil {
		c.end(err)
		c.stale = c.srv.idle.put(c, MaxIdle)
		if !c.stale {
			close(c.clients)
		}
		return c.stale
	}
	if c.stale {
		c.renew()
	}
	return true
}

// start begins with a client.
func (c *conn) start(raw net.Conn) {
	c.Asker = c.srv.begin(raw)
	c.callbacks.Milter = c.srv.config.Backend() // if it panics, Close has the client
	c.greeted, c.macros = false, c.macros[:0]
}

// renew has go-milter forget the client before. Macros, which come first from Postfix,
// replace all that it has: it gets no headers.
func (c *conn) renew() {
	head, _ := c.In.Peek(headSize)
	if c.stale = false; milter.Code(head[lengthSize]) != milter.CodeMacro {
		c.own = abort
	}
}

// end sends what is left to the client, and closes its connection. Its callbacks are
// not called any more.
func (c *conn) end(err error) {
	raw := c.raw
	c.srv.end(c.Asker, err)
	c.srv.gate.release(raw)
	c.Asker, c.callbacks.Milter, c.pass = nil, milter.NoOpMilter{}, 0
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
	for {
		if _, err := c.Await(); err != nil {
			return err
		}
		head, err := c.In.Peek(lengthSize)
		if err != nil {
			return err
		}
		length := int(binary.BigEndian.Uint32(head))
		if !c.greeted {
			if err := c.greet(length); err != nil {
				return err
			}
			continue
		}
		if length == 0 {
			return refuse(&c.srv.badFrame, "empty packet")
		}
		if length > maxFrame {
			return refuse(&c.srv.frameTooBig, "packet too big")
		}
		packet, err := c.In.Peek(min(lengthSize+length, inSize))
		if err != nil {
			return err
		}
		if c.skipRepeat() {
			continue
		}
		cmd := milter.Code(packet[lengthSize])
		if strings.IndexByte(known, byte(cmd)) < 0 {
			return refuse(&c.srv.badFrame, "unknown command")
		}
		if cmd == milter.CodeQuit || cmd == milter.CodeQuitNewConn { // go-milter's session is for the next client
			return io.EOF
		}
		c.pass = lengthSize + length
		c.Busy = inMessage(cmd, c.Busy)
		if c.wanted(cmd, packet[headSize:]) {
			c.remember(cmd, packet, length)
			return nil
		}
		if err := c.drop(); err != nil {
			return err
		}
	}
}

// greet looks at the first packet, before it is believed, and answers it.
func (c *conn) greet(length int) error {
	if length >= optNegLength && length <= maxFrame {
		head, err := c.In.Peek(headSize)
		if err != nil {
			return err
		}
		c.greeted = milter.Code(head[lengthSize]) == milter.CodeOptNeg
	}
	if !c.greeted {
		return refuse(&c.srv.notMilter, "not a milter client")
	}
	c.Out = append(c.Out, c.srv.negotiation...)
	c.pass = lengthSize + length
	return c.drop()
}

// drop passes over the rest of the current packet.
func (c *conn) drop() error {
	n, err := c.In.Discard(c.pass)
	c.pass -= n
	return err
}

// wanted reports whether go-milter gets a packet. It doesn't get headers, which it
// would keep for the whole session, nor macros of a header or of an event that does
// not come. The backend has the names of the headers that it asked for.
func (c *conn) wanted(cmd milter.Code, data []byte) bool {
	switch {
	case cmd == milter.CodeMacro && len(data) > 0:
		of := milter.Code(data[0])
		return of != milter.CodeHeader && c.srv.config.Protocol&leavesOut(of) == 0
	case cmd == milter.CodeHeader:
		if name, _, found := bytes.Cut(data, []byte{0}); found && c.srv.config.KeepHeader(name) {
			_, _ = c.callbacks.Header(string(name), "", nil)
		}
		return false
	}
	return true
}

// remember keeps the macros that go-milter is about to be given: it has no
// others until it gets others, or an ABORT.
func (c *conn) remember(cmd milter.Code, packet []byte, length int) {
	switch {
	case cmd == milter.CodeAbort, cmd == milter.CodeMacro && length > maxKept:
		c.macros = c.macros[:0]
	case cmd == milter.CodeMacro:
		c.macros = append(c.macros[:0], packet...)
	}
}

// skipRepeat passes over what Postfix sends between two messages of a session
// if it changes nothing: ABORT after a message that has ended, and then the
// macros that are in force. Both must be here whole; else go-milter gets them.
func (c *conn) skipRepeat() bool {
	here, _ := c.In.Peek(c.In.Buffered())
	if c.Busy || len(c.macros) == 0 || milter.Code(here[lengthSize]) != milter.CodeAbort || binary.BigEndian.Uint32(here) != 1 || !bytes.HasPrefix(here[headSize:], c.macros) {
		return false
	}
	_, err := c.In.Discard(headSize + len(c.macros))
	return err == nil
}

// Write keeps what go-milter writes until the next read.
func (c *conn) Write(p []byte) (int, error) {
	if len(c.Out)+len(p) > maxGathered {
		if err := c.flush(time.Now()); err != nil {
			return 0, err
		}
	}
	c.Out = append(c.Out, p...)
	return len(p), nil
}

// Close ends the session, with the client that go-milter can't serve any more.
// go-milter calls it once, at the end of the goroutine; nothing may be called after it.
func (c *conn) Close() error {
	if c.Asker != nil {
		c.end(nil)
	}
	return nil
}

// refuse counts a connection that is closed for what came on it.
func refuse(count *atomic.Int64, why string) error {
	count.Add(1)
	return fmt.Errorf("%w: %s", ErrRefused, why)
}
