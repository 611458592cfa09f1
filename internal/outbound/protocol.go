package outbound

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// memcache answers one line of the memcached text protocol: "get KEY". It knows
// no other command, and after one nothing can be believed: some have a second
// line.
func (c *conn) memcache() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	key, isGet := bytes.CutPrefix(line, []byte("get "))
	switch {
	case isGet && len(key) > 0 && bytes.IndexByte(key, ' ') < 0:
	case string(line) == "quit":
		return errQuit
	default:
		c.Out = append(c.Out, "SERVER_ERROR only get\r\n"...)
		return errRefused
	}
	if c.ask(key) {
		c.Out = append(append(append(c.Out, "VALUE "...), key...), " 0 7\r\nencrypt\r\n"...)
	}
	c.Out = append(c.Out, "END\r\n"...)
	return nil
}

// errQuit ends a connection as the client asked.
var errQuit = fmt.Errorf("quit: %w", io.EOF)

// line returns the next line without its end. It is valid until the next read.
func (c *conn) line() ([]byte, error) {
	if !c.holds('\n') {
		c.Begun()
	}
	line, err := c.In.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		c.Out = append(c.Out, "SERVER_ERROR line too long\r\n"...)
		return nil, errRefused
	}
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

// socketmap answers one netstring, "MAP KEY" (socketmap_table(5)).
func (c *conn) socketmap() error {
	body, err := c.netstring()
	if err != nil {
		return err
	}
	_, key, ok := bytes.Cut(body, []byte(" "))
	if !ok || len(key) == 0 {
		return errRefused
	}
	if c.ask(key) {
		c.Out = append(c.Out, "10:OK encrypt,"...)
	} else {
		c.Out = append(c.Out, "9:NOTFOUND ,"...)
	}
	return nil
}

// netstring returns the next netstring's content. It is valid until the next
// read.
func (c *conn) netstring() ([]byte, error) {
	n, digits := 0, 0
	for {
		b, err := c.byte()
		if err != nil {
			return nil, err
		}
		if b == ':' && digits > 0 {
			break
		}
		if digits++; b < '0' || b > '9' || digits > 4 {
			return nil, errRefused
		}
		n = n*10 + int(b-'0')
	}
	if n >= maxRequest {
		return nil, errRefused
	}
	if c.In.Buffered() <= n {
		c.Begun()
	}
	body, err := c.In.Peek(n + 1)
	if err != nil {
		return nil, err
	}
	if body[n] != ',' {
		return nil, errRefused
	}
	_, err = c.In.Discard(n + 1)
	return body[:n], err
}

func (c *conn) byte() (byte, error) {
	if c.In.Buffered() == 0 {
		c.Begun()
	}
	return c.In.ReadByte()
}

// holds reports whether a byte is among what was read.
func (c *conn) holds(b byte) bool {
	here, _ := c.In.Peek(c.In.Buffered())
	return bytes.IndexByte(here, b) >= 0
}
