package posttest

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strings"
)

// Reply is the answer of a server.
type Reply struct {
	// Code is the reply code, 200 to 599.
	Code int
	// Text is the text without the code; lines of a reply with several are
	// separated by \n.
	Text string
}

// OK reports whether the server took the command: 2xx or 3xx.
func (r Reply) OK() bool { return r.Code >= 200 && r.Code < 400 }

// String returns the reply in one line.
func (r Reply) String() string {
	return fmt.Sprintf("%d %s", r.Code, strings.ReplaceAll(r.Text, "\n", " / "))
}

// Client is one SMTP session. A refusal is a [Reply], never an error: an error
// means that the connection is of no more use.
type Client struct {
	conn net.Conn
	text *textproto.Conn
	ext  map[string]string
	tls  *tls.ConnectionState
}

// newClient takes a connection over and reads the banner.
func newClient(conn net.Conn) (*Client, Reply, error) {
	c := &Client{conn: conn, text: textproto.NewConn(conn)}
	banner, err := c.read()
	return c, banner, err
}

// Cmd sends one line and returns the reply to it.
func (c *Client) Cmd(line string) (Reply, error) {
	if err := c.text.PrintfLine("%s", line); err != nil {
		return Reply{}, fmt.Errorf("%s: %w", verb(line), err)
	}
	r, err := c.read()
	if err != nil {
		return r, fmt.Errorf("%s: %w", verb(line), err)
	}
	return r, nil
}

// Pipeline sends all lines at once (RFC 2920) and returns the reply to each.
func (c *Client) Pipeline(lines ...string) ([]Reply, error) {
	if _, err := c.text.W.WriteString(strings.Join(lines, "\r\n") + "\r\n"); err != nil {
		return nil, fmt.Errorf("pipelining: %w", err)
	}
	if err := c.text.W.Flush(); err != nil {
		return nil, fmt.Errorf("pipelining: %w", err)
	}
	var all []Reply
	for _, line := range lines {
		r, err := c.read()
		if err != nil {
			return all, fmt.Errorf("%s: %w", verb(line), err)
		}
		all = append(all, r)
	}
	return all, nil
}

// EHLO says hello and notes what the server offers.
func (c *Client) EHLO(name string) (Reply, error) {
	r, err := c.Cmd("EHLO " + name)
	c.ext = map[string]string{}
	if err != nil || !r.OK() {
		return r, err
	}
	for _, line := range strings.Split(r.Text, "\n")[1:] {
		keyword, params, _ := strings.Cut(line, " ")
		c.ext[strings.ToUpper(keyword)] = params
	}
	return r, nil
}

// Offers reports whether the last EHLO offered an extension, and its parameters.
func (c *Client) Offers(keyword string) (params string, ok bool) {
	params, ok = c.ext[keyword]
	return params, ok
}

// XCLIENT sends Postfix's XCLIENT with attributes such as NAME=mx.bank.example
// and ADDR=192.0.2.10; say EHLO again after it.
func (c *Client) XCLIENT(attributes ...string) (Reply, error) {
	return c.Cmd("XCLIENT " + strings.Join(attributes, " "))
}

// StartTLS sends STARTTLS and, if the server is ready, does the handshake; say
// EHLO again after it. A failed handshake is an error.
func (c *Client) StartTLS(ctx context.Context, config *tls.Config) (Reply, error) {
	r, err := c.Cmd("STARTTLS")
	if err != nil || !r.OK() {
		return r, err
	}
	t := tls.Client(c.conn, config)
	if err := t.HandshakeContext(ctx); err != nil {
		return r, fmt.Errorf("TLS handshake: %w", err)
	}
	state := t.ConnectionState()
	c.text, c.tls = textproto.NewConn(t), &state
	return r, nil
}

// TLS is the state after the handshake, nil in clear. DidResume is set for a
// resumed session.
func (c *Client) TLS() *tls.ConnectionState { return c.tls }

// Auth authenticates by SASL PLAIN (RFC 4616).
func (c *Client) Auth(user, password string) (Reply, error) {
	token := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
	return c.Cmd("AUTH PLAIN " + token)
}

// Mail sends MAIL with parameters such as SMTPUTF8; from "" is the null sender.
func (c *Client) Mail(from string, params ...string) (Reply, error) {
	return c.Cmd(strings.Join(append([]string{"MAIL FROM:<" + from + ">"}, params...), " "))
}

// Rcpt sends RCPT.
func (c *Client) Rcpt(to string) (Reply, error) { return c.Cmd("RCPT TO:<" + to + ">") }

// Data sends DATA and, if the server takes it, the message: header lines as
// they are, an empty line, and the body, with LF or CRLF. The reply is that to
// the message, or to DATA if that was refused.
func (c *Client) Data(header []string, body string) (Reply, error) {
	r, err := c.Cmd("DATA")
	if err != nil || r.Code != 354 {
		return r, err
	}
	w := c.text.DotWriter()
	_, err = w.Write([]byte(strings.Join(append(slices.Clone(header), "", body), "\n")))
	if err := errors.Join(err, w.Close()); err != nil {
		return Reply{}, fmt.Errorf("message: %w", err)
	}
	if r, err = c.read(); err != nil {
		return r, fmt.Errorf("end of message: %w", err)
	}
	return r, nil
}

// Close hangs up without a word.
func (c *Client) Close() error { return c.text.Close() }

// Quit says QUIT, waits for the reply and hangs up.
func (c *Client) Quit() error {
	_, err := c.Cmd("QUIT")
	if cerr := c.Close(); err == nil {
		err = cerr
	}
	return err
}

func (c *Client) read() (Reply, error) {
	code, text, err := c.text.ReadResponse(0)
	return Reply{Code: code, Text: text}, err
}

func verb(line string) string {
	v, _, _ := strings.Cut(line, " ")
	return v
}
