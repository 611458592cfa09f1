package shared

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
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

// guard is a connection to a server. It passes a reply on when all of it has come
// and is sound (RESP, versions 2 and 3).
type guard struct {
	net.Conn
	in     *bufio.Reader
	pushes bool // the server may send what is no reply, as Sentinel does
	// unanswered are the commands without a reply. Of the one that is being
	// written args are still to come, and skip bytes of the first of these.
	unanswered atomic.Int64
	args, skip int
	line       []byte

	reply          bytes.Buffer // not read yet
	bulk, elements int64        // announced in it
}

func newGuard(conn net.Conn, pushes bool) *guard {
	return &guard{Conn: conn, in: bufio.NewReaderSize(conn, maxLine), pushes: pushes}
}

// Write implements [net.Conn]. It counts commands: arrays of strings.
func (g *guard) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		if n := min(g.skip, len(rest)); n > 0 {
			g.skip, rest = g.skip-n, rest[n:]
			continue
		}
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		g.line, rest = append(g.line, line...), after
		if !whole {
			break
		}
		n, _ := strconv.Atoi(string(bytes.Trim(g.line, "*$\r")))
		if g.line = g.line[:0]; g.args == 0 {
			g.args = n
			g.unanswered.Add(1)
		} else {
			g.args, g.skip = g.args-1, n+2
		}
	}
	return g.Conn.Write(b)
}

// Read implements [net.Conn]. Of a malformed reply nothing is passed on: the
// connection is closed.
func (g *guard) Read(b []byte) (int, error) {
	if g.reply.Len() == 0 {
		g.bulk, g.elements = 0, 0
		if err := g.next(0); err != nil {
			g.reply.Reset()
			return 0, err
		}
	}
	return g.reply.Read(b)
}

// next reads a message, or an element in so many arrays.
func (g *guard) next(depth int) error {
	b, err := g.in.ReadSlice('\n')
	if err != nil && err != bufio.ErrBufferFull {
		return err
	}
	g.reply.Write(b)
	line, ok := strings.CutSuffix(string(b), "\r\n")
	if !ok || line == "" {
		return fmt.Errorf("%w: a line that does not end in CRLF", errReply)
	}
	more, elements, err := g.header(line[0], line[1:], depth)
	if err != nil {
		return fmt.Errorf("%w: %w", errReply, err)
	}
	_, err = io.CopyN(&g.reply, g.in, more)
	for ; elements > 0 && err == nil; elements-- {
		err = g.next(depth + 1)
	}
	return err
}

// redirections are errors that name a host, and in which word. The library
// takes it without looking.
var redirections = map[string]int{"MOVED": 2, "ASK": 2, "REDIRECT": 1}

// header checks the line that begins a message or an element, and returns how many
// bytes, or elements, belong to it.
func (g *guard) header(kind byte, text string, depth int) (more, elements int64, err error) {
	if depth == 0 {
		if err := g.expected(kind); err != nil {
			return 0, 0, err
		}
	}
	sound := true
	switch kind {
	case '$', '=', '*', '~', '%', '>':
		return g.sized(kind, text, depth)
	case '_':
		sound = text == ""
	case '#':
		sound = text == "t" || text == "f"
	case ':':
		_, err := strconv.ParseInt(text, 10, 64)
		sound = err == nil && text[0] != '+'
	case '+':
		sound = text != "QUEUED" // of a transaction, which nobody began
	case '-':
		for name, word := range redirections {
			sound = sound && (!strings.HasPrefix(text, name) || strings.Count(text, " ") >= word)
		}
	case ',', '(':
	default:
		sound = false
	}
	if !sound {
		return 0, 0, fmt.Errorf("%q", fmt.Sprintf("%c%.20s", kind, text))
	}
	return 0, 0, nil
}

// sized is header for what has a length: a whole number, or -1 for none.
func (g *guard) sized(kind byte, text string, depth int) (more, elements int64, err error) {
	n, err := strconv.ParseInt(text, 10, 32)
	least := int64(-1)
	switch kind {
	case '~', '%':
		least = 0
	case '>':
		least = 1
	}
	switch {
	case err != nil || text[0] < '0' && text != "-1" || n < least || kind == '>' && depth > 0:
		return 0, 0, fmt.Errorf("a length of %q", fmt.Sprintf("%c%.20s", kind, text))
	case n < 0:
		return 0, 0, nil
	case kind == '$' || kind == '=':
		if g.bulk += n; g.bulk > maxBulk {
			return 0, 0, fmt.Errorf("more than %d bytes", maxBulk)
		}
		return n + 2, 0, nil
	case kind == '%':
		n *= 2
	}
	if g.elements += n; g.elements > maxElements || n > 0 && depth == maxNesting {
		return 0, 0, fmt.Errorf("more than %d elements, or %d arrays in arrays", maxElements, maxNesting)
	}
	return 0, n, nil
}

// expected counts a reply.
func (g *guard) expected(kind byte) error {
	if kind == '>' && !g.pushes {
		return errors.New("a message that nobody subscribed to")
	}
	if kind != '>' && g.unanswered.Add(-1) < 0 && !g.pushes {
		return errors.New("a reply to no command")
	}
	return nil
}
