package wire

import "bytes"

// maxKept is how long a packet of macros may be to be remembered. Ours are
// some 400 bytes.
const maxKept = 1 << 10

// remember keeps the macros that go-milter is about to be given: it has no
// others until it gets others, or an ABORT.
func (c *conn) remember(cmd byte, length int) {
	switch {
	case cmd == cmdAbort, cmd == cmdMacro && length > maxKept:
		c.buf.macros = c.buf.macros[:0]
	case cmd == cmdMacro:
		c.buf.macros = append(c.buf.macros[:0], c.buf.in[c.r:c.r+lengthSize+length]...)
	}
}

// skipRepeat passes over what Postfix says between two messages of a session
// if it changes nothing: ABORT after a message that has ended, and then the
// macros that are in force. Both must be here whole; else go-milter gets them.
func (c *conn) skipRepeat() bool {
	if c.busy || len(c.buf.macros) == 0 || c.r+headSize > c.w || c.buf.in[c.r+lengthSize] != cmdAbort {
		return false
	}
	rest := c.buf.in[c.r+headSize : c.w]
	if frameLength(c.buf.in[c.r:]) != 1 || !bytes.HasPrefix(rest, c.buf.macros) {
		return false
	}
	c.r += headSize + len(c.buf.macros)
	return true
}
