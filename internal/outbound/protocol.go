package outbound

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
)

// memcache answers one line of the memcached text protocol: "get KEY". It knows
// no other command, and after one nothing can be believed: some have a second
// line.
func (c *conn) memcache() error {
	line, err := c.until('\n')
	if errors.Is(err, errRefused) {
		c.Out = append(c.Out, "SERVER_ERROR line too long\r\n"...)
	}
	if err != nil {
		return err
	}
	line = bytes.TrimSuffix(line, []byte("\r"))
	key, isGet := bytes.CutPrefix(line, []byte("get "))
	switch {
	case isGet && len(key) > 0 && bytes.IndexByte(key, ' ') < 0:
	case string(line) == "quit":
		return io.EOF
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
	length, err := c.until(':')
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(string(length), 10, 16)
	if err != nil || n >= maxRequest {
		return nil, errRefused
	}
	body, err := c.In.Peek(int(n) + 1)
	if err != nil {
		return nil, err
	}
	if body[n] != ',' {
		return nil, errRefused
	}
	_, err = c.In.Discard(len(body))
	return body[:n], err
}

// until returns what comes before the next byte of this kind. It is valid until the
// next read.
func (c *conn) until(end byte) ([]byte, error) {
	b, err := c.In.ReadSlice(end)
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, errRefused
	}
	if err != nil {
		return nil, err
	}
	return b[:len(b)-1], nil
}
