package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"tlsratchet/test/bench/measure"
	"tlsratchet/test/posttest"
)

// SMTP is a load of SMTP sessions over STARTTLS, resumed by session tickets.
type SMTP struct {
	Shape
	// Server is where to connect to, host:port.
	Server string
	// Sources are the addresses to connect from, taken in turn, each a peer.
	Sources []string
	// TLS should have a ClientSessionCache.
	TLS *tls.Config
	// Mail is the message; To, if not nil, are its recipients in a session.
	Mail posttest.Mail
	To   func(session int) []string
}

// Run runs the load once. The wait of a session's first message begins with
// its connection.
func (l SMTP) Run(ctx context.Context) (measure.Run, error) { return l.run(ctx, l.session) }

func (l *SMTP) session(ctx context.Context, n int, t *timer) error {
	t.start()
	c, err := posttest.Peer{
		Server: l.Server, TLS: l.TLS, Source: l.Sources[n%len(l.Sources)],
	}.Connect(ctx)
	if err != nil {
		return err
	}
	m := l.Mail
	if l.To != nil {
		m.To = l.To(n)
	}
	for range l.Length {
		exchanges, err := c.Send(m)
		t.stop()
		if err == nil && !exchanges[len(exchanges)-1].Reply.OK() {
			err = fmt.Errorf("%w: %s", ErrAnswer, exchanges[len(exchanges)-1].Reply)
		}
		if err != nil {
			return errors.Join(err, c.Close())
		}
	}
	return c.Quit()
}
