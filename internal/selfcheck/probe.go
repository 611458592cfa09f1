package selfcheck

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"

	"tlsratchet/internal/clean"
)

const (
	// maxRead is how much of one session is read: certificates are not counted.
	maxRead = 64 << 10
	maxText = 255
)

// Dial connects; [net.Dialer.DialContext] is one.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Probe tries STARTTLS at address once, until ctx ends. Any certificate is
// accepted; what is wrong is in the result.
func Probe(ctx context.Context, dial Dial, address string) Result {
	r := Result{At: time.Now()}
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		r.Err = fmt.Errorf("connecting: %w", err)
		return r
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	r.Err = r.session(ctx, conn)
	if err := ctx.Err(); err != nil && r.Err != nil {
		// Slow is not broken.
		r = Result{At: r.At, Err: fmt.Errorf("no answer in time: %w", r.Err)}
	}
	return r
}

// session talks to the server as far as it goes.
func (r *Result) session(ctx context.Context, conn net.Conn) error {
	text := NewText(conn)
	if _, _, err := text.ReadResponse(220); err != nil {
		return fmt.Errorf("greeting: %w", tidy(err))
	}
	_, ehlo, err := Ask(text, 250, "EHLO localhost")
	if err != nil {
		return fmt.Errorf("EHLO: %w", tidy(err))
	}
	r.Reachable = true
	if r.Offered = Offers(ehlo); !r.Offered {
		_, _, _ = Ask(text, 221, "QUIT")
		return ErrNotOffered
	}
	if code, _, err := Ask(text, 220, "STARTTLS"); err != nil {
		r.Reachable = code != 421 // RFC 5321 section 3.8: it is going away
		return fmt.Errorf("%w: %w", ErrRefused, tidy(err))
	}
	return r.encrypted(ctx, conn)
}

// encrypted does the handshake and leaves. The reply to QUIT shows that the
// server took its part in it.
func (r *Result) encrypted(ctx context.Context, conn net.Conn) error {
	// Any version, any certificate: this looks, it protects nothing.
	client := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10})
	if err := client.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	state := client.ConnectionState()
	r.Version = tls.VersionName(state.Version)
	if len(state.PeerCertificates) > 0 {
		cert := state.PeerCertificates[0]
		r.CertNotBefore, r.CertNotAfter = cert.NotBefore, cert.NotAfter
	}
	code, _, err := Ask(NewText(client), 221, "QUIT")
	if r.Handshake = code > 0; !r.Handshake {
		return fmt.Errorf("%w: nothing came after it: %w", ErrHandshake, tidy(err))
	}
	return nil
}

// NewText returns a connection that reads no more than the replies of a session.
func NewText(conn net.Conn) *textproto.Conn {
	return textproto.NewConn(struct {
		io.Reader
		io.WriteCloser
	}{io.LimitReader(conn, maxRead), conn})
}

// Ask sends a command and reads its reply. The code is 0 if there was none. The error
// of another reply than is wanted is a [textproto.Error] with that, not clean.
func Ask(text *textproto.Conn, want int, command string) (code int, reply string, err error) {
	if err := text.PrintfLine("%s", command); err != nil {
		return 0, "", err
	}
	return text.ReadResponse(want)
}

// tidy makes an error clean, which may hold the server's reply.
func tidy(err error) error {
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		return fmt.Errorf("it answers %d %s", reply.Code, clean.Text(strings.ReplaceAll(reply.Msg, "\n", " "), maxText))
	}
	if broken, ok := errors.AsType[textproto.ProtocolError](err); ok { // it quotes the line
		return errors.New(clean.Text(string(broken), maxText))
	}
	return err
}

// Offers reports whether a reply to EHLO has STARTTLS (RFC 3207 section 3): its
// first line is a greeting.
func Offers(ehlo string) bool {
	_, keywords, _ := strings.Cut(ehlo, "\n")
	for line := range strings.SplitSeq(keywords, "\n") {
		if keyword, _, _ := strings.Cut(strings.TrimSpace(line), " "); strings.EqualFold(keyword, "STARTTLS") {
			return true
		}
	}
	return false
}
