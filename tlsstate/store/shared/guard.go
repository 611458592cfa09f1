package shared

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/valkey-io/valkey-go"
)

// The client library believes what a server announces: it allocates for that
// many elements, and panics at a negative length or at a reply that nobody asked
// for. So each connection is read through a guard, which breaks it off before
// the library sees such a reply. All servers' largest replies (CLUSTER SHARDS,
// SCAN, INFO) are far below the limits.
const (
	maxLine     = 64 << 10 // bytes of a line
	maxBulk     = 1 << 20  // bytes of the strings of one reply
	maxElements = 1 << 17  // elements of the arrays of one reply
	maxNesting  = 8        // arrays in arrays
)

// errReply: no sound server sends this. The connection is closed.
var errReply = errors.New("malformed reply of the shared server")

// dialFn is the type of [valkey.ClientOption.DialCtxFn].
type dialFn = func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error)

// guardDial returns the dialing of c with a guard around each connection.
func guardDial(c *valkey.ClientOption) dialFn {
	dial, pushes := c.DialCtxFn, c.Sentinel.MasterSet != ""
	if dial == nil {
		dial = dialTCP
	}
	return func(ctx context.Context, addr string, d *net.Dialer, config *tls.Config) (net.Conn, error) {
		conn, err := dial(ctx, addr, d, config)
		if err != nil {
			return nil, err
		}
		return newGuard(conn, pushes), nil
	}
}

func dialTCP(ctx context.Context, addr string, d *net.Dialer, config *tls.Config) (net.Conn, error) {
	if config == nil {
		return d.DialContext(ctx, "tcp", addr)
	}
	return (&tls.Dialer{NetDialer: d, Config: config}).DialContext(ctx, "tcp", addr)
}

// guard is a connection to a server.
type guard struct {
	net.Conn
	commands, replies scanner
	unanswered        atomic.Int64 // commands without a reply
}

// newGuard returns a guard. pushes says that the server may send messages that
// are no replies, as Sentinel does to its subscribers.
func newGuard(conn net.Conn, pushes bool) *guard {
	g := &guard{Conn: conn}
	g.commands.begin = func(byte) error {
		g.unanswered.Add(1)
		return nil
	}
	g.replies.begin = func(kind byte) error {
		if kind == '>' && !pushes {
			return errors.New("a message that nobody subscribed to")
		}
		if kind != '>' && g.unanswered.Add(-1) < 0 && !pushes {
			return errors.New("a reply to no command")
		}
		return nil
	}
	return g
}

// Write implements [net.Conn].
func (g *guard) Write(b []byte) (int, error) {
	if err := g.commands.scan(b); err != nil { // the library's own: it can't be
		return 0, err
	}
	return g.Conn.Write(b)
}

// Read implements [net.Conn]. What comes with a malformed reply is lost: the
// connection is closed.
func (g *guard) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if bad := g.replies.scan(b[:n]); bad != nil {
		return 0, fmt.Errorf("%w: %w", errReply, bad)
	}
	return n, err
}

// scanner follows the messages of one direction (RESP, versions 2 and 3).
type scanner struct {
	begin func(kind byte) error // called at the start of each message

	line           []byte // the part of a line that has come
	rest           int    // bytes of a string that are still to come
	open           []int  // for each array around: elements still to come
	bulk, elements int    // announced in this message
	failed         error
}

// scan takes the next bytes. After an error it returns that error for ever.
func (s *scanner) scan(b []byte) error {
	for len(b) > 0 && s.failed == nil {
		if s.rest > 0 {
			n := min(s.rest, len(b))
			b, s.rest = b[n:], s.rest-n
			if s.rest == 0 {
				s.end()
			}
			continue
		}
		n := bytes.IndexByte(b, '\n') + 1
		whole := n > 0
		if !whole {
			n = len(b)
		}
		s.line = append(s.line, b[:n]...)
		b = b[n:]
		switch {
		case len(s.line) > maxLine:
			s.failed = errors.New("a line without end")
		case whole:
			s.failed = s.header(s.line)
			s.line = s.line[:0]
		}
	}
	return s.failed
}

// header takes the line that begins a message or an element of one.
func (s *scanner) header(line []byte) error {
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok || len(text) == 0 {
		return errors.New("a line that does not end in CRLF")
	}
	kind, text := text[0], text[1:]
	if len(s.open) == 0 {
		s.bulk, s.elements = 0, 0
		if err := s.begin(kind); err != nil {
			return err
		}
	}
	switch kind {
	case '+', '-', ',', '(':
		s.end()
		return checkText(kind, string(text))
	case '_', '#', ':':
		s.end()
		return checkScalar(kind, string(text))
	case '$', '=':
		return s.string(text)
	case '*', '~', '%', '>':
		return s.array(kind, text)
	}
	return fmt.Errorf("unknown type %q", kind)
}

// string takes the length of a string; -1 is for none.
func (s *scanner) string(text []byte) error {
	n, err := length(text)
	if err != nil {
		return err
	}
	if n < 0 {
		s.end()
		return nil
	}
	if s.bulk += n; s.bulk > maxBulk {
		return fmt.Errorf("more than %d bytes", maxBulk)
	}
	s.rest = n + 2
	return nil
}

// array takes the length of an array, a set, a map or a push; -1 is for none.
func (s *scanner) array(kind byte, text []byte) error {
	n, err := length(text)
	switch {
	case err != nil:
		return err
	case kind == '>' && (len(s.open) > 0 || n < 1), kind != '*' && n < 0:
		return fmt.Errorf("%c%s", kind, text)
	case n <= 0:
		s.end()
		return nil
	}
	if kind == '%' {
		n *= 2
	}
	if s.elements += n; s.elements > maxElements || len(s.open) == maxNesting {
		return fmt.Errorf("more than %d elements, or %d arrays in arrays", maxElements, maxNesting)
	}
	s.open = append(s.open, n)
	return nil
}

// end notes that an element, and all that end with it, is over.
func (s *scanner) end() {
	for n := len(s.open) - 1; n >= 0; n-- {
		if s.open[n]--; s.open[n] > 0 {
			return
		}
		s.open = s.open[:n]
	}
}

// length parses a length: a whole number, or -1.
func length(text []byte) (int, error) {
	if n, err := strconv.ParseUint(string(text), 10, 31); err == nil {
		return int(n), nil
	}
	if string(text) == "-1" {
		return -1, nil
	}
	return 0, fmt.Errorf("a length of %.20q", text)
}

// redirections are errors that name a host, and in which word. The library
// takes it without looking.
var redirections = map[string]int{"MOVED": 2, "ASK": 2, "REDIRECT": 1}

func checkText(kind byte, text string) error {
	if kind == '+' && text == "QUEUED" {
		return errors.New("a transaction that nobody began")
	}
	if kind != '-' {
		return nil
	}
	for name, word := range redirections {
		if strings.HasPrefix(text, name) && strings.Count(text, " ") < word {
			return fmt.Errorf("%s without a host", name)
		}
	}
	return nil
}

func checkScalar(kind byte, text string) error {
	_, err := strconv.ParseInt(text, 10, 64)
	sound := kind == '_' && text == "" || kind == '#' && (text == "t" || text == "f") ||
		kind == ':' && err == nil && text[0] != '+'
	if !sound {
		return fmt.Errorf("%c%.20q", kind, text)
	}
	return nil
}
