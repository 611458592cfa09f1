package posttest

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// Peer says who connects, and how.
type Peer struct {
	// Server is where to connect to, host:port.
	Server string
	// Source is the address to connect from, such as "127.0.0.2"; the system
	// chooses unless set.
	Source string
	// HELO is the name given at EHLO; "peer.test" unless set.
	HELO string
	// TLS is used by STARTTLS; nil sends in clear. With a ClientSessionCache,
	// sessions are resumed; with Certificates, a client certificate is shown.
	TLS *tls.Config
	// Opportunistic peers send in clear where STARTTLS is not offered, as real
	// ones do; others fail with [ErrNoSTARTTLS].
	Opportunistic bool
	// XCLIENT are the attributes of XCLIENT, sent after STARTTLS.
	XCLIENT []string
	// User and Password are given by AUTH PLAIN, unless User is empty.
	User, Password string
}

// ErrNoSTARTTLS is returned by [Peer.Connect] where TLS was wanted and not
// offered.
var ErrNoSTARTTLS = errors.New("the server doesn't offer STARTTLS")

// limit is how long a session may last whose context has no deadline.
const limit = 2 * time.Minute

// Connect begins a session, up to the point where MAIL can be sent. A command
// that the server refuses is an error here. Close or Quit the client; ctx ending
// doesn't, but its deadline is the session's.
func (p Peer) Connect(ctx context.Context) (*Client, error) {
	conn, err := p.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", p.Server, err)
	}
	c, banner, err := newClient(conn)
	if err = refused("banner", banner, err); err == nil {
		err = p.greet(ctx, c)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("session with %s: %w", p.Server, err), c.Close())
	}
	return c, nil
}

func (p Peer) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	if p.Source != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(p.Source)}
	}
	conn, err := d.DialContext(ctx, "tcp", p.Server)
	if err != nil {
		return nil, err
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(limit)
	}
	return conn, conn.SetDeadline(deadline)
}

func (p Peer) greet(ctx context.Context, c *Client) error {
	if err := p.hello(c); err != nil {
		return err
	}
	if p.TLS != nil {
		if err := p.startTLS(ctx, c); err != nil {
			return err
		}
	}
	if p.XCLIENT != nil {
		r, err := c.XCLIENT(p.XCLIENT...)
		if err := refused("XCLIENT", r, err); err != nil {
			return err
		}
		if err := p.hello(c); err != nil {
			return err
		}
	}
	if p.User != "" {
		r, err := c.Auth(p.User, p.Password)
		return refused("AUTH", r, err)
	}
	return nil
}

func (p Peer) hello(c *Client) error {
	r, err := c.EHLO(cmp.Or(p.HELO, "peer.test"))
	return refused("EHLO", r, err)
}

func (p Peer) startTLS(ctx context.Context, c *Client) error {
	if _, offered := c.Offers("STARTTLS"); !offered {
		if p.Opportunistic {
			return nil
		}
		return ErrNoSTARTTLS
	}
	r, err := c.StartTLS(ctx, p.TLS)
	if err := refused("STARTTLS", r, err); err != nil {
		return err
	}
	return p.hello(c)
}

// refused makes an error of a refusal.
func refused(command string, r Reply, err error) error {
	if err == nil && !r.OK() {
		return fmt.Errorf("%s: %s", command, r)
	}
	return err
}

// Mail is a message and its envelope.
type Mail struct {
	// From is the envelope sender, "" for the null sender; Params are the
	// parameters of MAIL, such as SMTPUTF8.
	From   string
	Params []string
	// To are the recipients.
	To []string
	// Header are the header's lines, and Body what follows it.
	Header []string
	Body   string
}

// Exchange is a command and the reply to it. That to the message itself has
// the command ".".
type Exchange struct {
	Command string
	Reply   Reply
}

// Send sends a message as an MTA does: MAIL, a RCPT for each recipient, and the
// message if any was taken; else RSET. It returns all exchanges, up to the
// first error. The last reply is the message's fate.
func (c *Client) Send(m Mail) ([]Exchange, error) {
	var exchanges []Exchange
	note := func(command string, r Reply, err error) bool {
		if err == nil {
			exchanges = append(exchanges, Exchange{command, r})
		}
		return err == nil && r.OK()
	}
	r, err := c.Mail(m.From, m.Params...)
	if !note("MAIL", r, err) {
		return exchanges, err
	}
	taken := 0
	for _, to := range m.To {
		r, err := c.Rcpt(to)
		if note("RCPT "+to, r, err) {
			taken++
		} else if err != nil {
			return exchanges, err
		}
	}
	if taken == 0 {
		// The last reply stays that to RCPT.
		_, err := c.Cmd("RSET")
		return exchanges, err
	}
	r, err = c.Data(m.Header, m.Body)
	note(".", r, err)
	return exchanges, err
}
