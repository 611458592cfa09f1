package alert

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"sync/atomic"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/selfcheck"
	"tlsratchet/internal/words"
)

// mailer sends messages by SMTP to one recipient, from the null sender, so that
// nobody gets a bounce (RFC 3834 section 3.3).
type mailer struct {
	server, from, to string
	encrypted        *atomic.Bool // of the destination
}

// try is one SMTP session.
func (m mailer) try(ctx context.Context, all ...*Message) (answer string, err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", m.server)
	if err != nil {
		return "", temporary{error: err}
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	answer, err = m.converse(conn, all[0])
	var refused *textproto.Error
	switch {
	case err == nil:
		return answer, nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("no answer in time: %w", ctx.Err())
	case errors.As(err, &refused) && refused.Code >= 500:
		return "", cleanError(err)
	}
	return "", temporary{error: cleanError(err)}
}

// cleanError cleans the reply that an error holds.
func cleanError(err error) error {
	if reply, ok := err.(*textproto.Error); ok { // not errors.As: what wraps one is clean
		return &textproto.Error{Code: reply.Code, Msg: clean.Text(reply.Msg, maxShown)}
	}
	return err
}

// converse is one SMTP session on a connection: not by net/smtp, which overlooks an
// offer of STARTTLS in lower case.
func (m mailer) converse(conn net.Conn, msg *Message) (string, error) {
	c := selfcheck.NewText(conn)
	if _, _, err := c.ReadResponse(220); err != nil {
		return "", err
	}
	ehlo, err := hello(c, msg.Host)
	if server, isTCP := conn.RemoteAddr().(*net.TCPAddr); err == nil && (!isTCP || !server.IP.IsLoopback()) {
		c, err = m.encrypt(c, conn, msg.Host, selfcheck.Offers(ehlo))
	}
	if err != nil {
		return "", err
	}
	if _, _, err := selfcheck.Ask(c, 250, "MAIL FROM:<>"); err != nil {
		return "", err
	}
	if _, _, err := selfcheck.Ask(c, 25, "RCPT TO:<"+m.to+">"); err != nil { // or 251
		return "", err
	}
	answer, err := data(c, m.compose(msg, time.Now()))
	if err == nil {
		_, _, _ = selfcheck.Ask(c, 221, "QUIT") // the message was accepted
	}
	return answer, err
}

// hello greets the server, and returns its reply.
func hello(c *textproto.Conn, host string) (reply string, err error) {
	if _, reply, err = selfcheck.Ask(c, 250, "EHLO "+host); err != nil {
		_, reply, err = selfcheck.Ask(c, 250, "HELO "+host)
	}
	return reply, err
}

// encrypt is opportunistic, as between mail servers: unauthenticated TLS is better
// than none (RFC 7435). But a server that offered STARTTLS once must go on.
func (m mailer) encrypt(c *textproto.Conn, conn net.Conn, host string, offered bool) (*textproto.Conn, error) {
	if !offered && m.encrypted.Load() {
		return nil, errors.New("STARTTLS is not offered any more; alerts are not sent in clear: restart tlsratchet if this server has turned it off")
	}
	if !offered {
		return c, nil
	}
	if _, _, err := selfcheck.Ask(c, 220, "STARTTLS"); err != nil {
		return nil, err
	}
	name, _, _ := net.SplitHostPort(m.server)
	c = selfcheck.NewText(tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true}))
	_, err := hello(c, host)
	if err == nil {
		m.encrypted.Store(true)
	}
	return c, err
}

// data sends the message, and returns the server's reply.
func data(c *textproto.Conn, message []byte) (string, error) {
	if _, _, err := selfcheck.Ask(c, 354, "DATA"); err != nil {
		return "", err
	}
	w := c.DotWriter()
	_, _ = w.Write(message) // Close returns its error too
	if err := w.Close(); err != nil {
		return "", err
	}
	code, text, err := c.ReadResponse(250)
	return clean.Text(fmt.Sprintf("%d %s", code, text), maxShown), err
}

// compose makes the mail (RFC 5322). All of it is ASCII.
func (m mailer) compose(msg *Message, now time.Time) []byte {
	var b strings.Builder
	for _, field := range [][2]string{
		{"From", "tlsratchet <" + cmp.Or(m.from, "tlsratchet@"+msg.Host) + ">"},
		{"To", m.to},
		{"Subject", "[" + label(msg) + "] " + msg.Title},
		{"Date", now.Format(time.RFC1123Z)},
		{"Message-ID", "<" + msg.ID + "@" + msg.Host + ">"},
		// Mail programs group what has the same reference.
		{"References", "<" + messageKey(msg.Key) + ".tlsratchet@" + msg.Host + ">"},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834 section 5
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=us-ascii"},
	} {
		b.WriteString(field[0] + ": " + field[1] + "\r\n")
	}
	b.WriteString("\r\n")
	for line := range strings.SplitSeq(mailText(msg), "\n") {
		b.WriteString(wrapped(line) + "\r\n")
	}
	return []byte(b.String())
}

// label is the first word of the subject.
func label(msg *Message) string {
	if msg.Status == StatusClosed {
		return "resolved"
	}
	return msg.Severity.String()
}

// messageKey makes a key part of a message id (RFC 5322 section 3.6.4).
func messageKey(key string) string {
	return strings.NewReplacer(":", "-", "/", "-", "?", "-", ".", "-").Replace(key)
}

func mailText(msg *Message) string {
	s := msg.Text + "\n"
	if len(msg.Next) > 0 {
		s += "\nCommands:\n    " + strings.Join(msg.Next, "\n    ") + "\n"
	}
	return s + "\n--\ntlsratchet at " + msg.Host + ", " + msg.Key + ", " + msg.At.Format(time.RFC3339)
}

// wrapped breaks a line of words; a command, which is indented, only where it must.
func wrapped(line string) string {
	width := 100
	if strings.HasPrefix(line, "    ") {
		width = words.MaxLine
	}
	return words.Wrap(line, width, "\r\n")
}
