package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/outbound"
)

// Sending is the daemon's sending side.
type Sending interface {
	Overview() outbound.Overview
	Explain(destination string) (outbound.Explanation, error)
	Override(wish string) error
}

// WithOutbound gives the operations the daemon's sending side; nil for one that
// is switched off.
func (l *Local) WithOutbound(s Sending) *Local {
	l.sending, l.isDaemon = s, true
	return l
}

func (l *Local) outbound() error {
	switch {
	case l.sending != nil:
		return nil
	case l.isDaemon:
		return errors.New("the sending side is switched off: [outbound] listen = []")
	}
	return fmt.Errorf("%w: the sending side is the daemon's", ErrNoDaemon)
}

// Outbound implements [Admin].
func (l *Local) Outbound(context.Context) (outbound.Overview, error) {
	if err := l.outbound(); err != nil {
		return outbound.Overview{}, err
	}
	return l.sending.Overview(), nil
}

// SetOutbound implements [Admin].
func (l *Local) SetOutbound(ctx context.Context, o Override) (outbound.Overview, error) {
	if o.Why == "" {
		return outbound.Overview{}, fmt.Errorf("%w: say why: it goes into the log", ErrBadRequest)
	}
	if err := l.outbound(); err != nil {
		return outbound.Overview{}, err
	}
	if err := l.sending.Override(o.Answer); err != nil {
		return outbound.Overview{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	l.log.Warn("operator", "act", "outbound", "answer", o.Answer, "why", clean.Text(o.Why, 300), "who", who(ctx, o.Who))
	return l.Outbound(ctx)
}

// ExplainTo implements [Admin].
func (l *Local) ExplainTo(_ context.Context, destination string) (e outbound.Explanation, err error) {
	if err := l.outbound(); err != nil {
		return e, err
	}
	if e, err = l.sending.Explain(destination); err != nil {
		err = fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return e, err
}

// Outbound implements [Admin].
func (c *Client) Outbound(ctx context.Context) (outbound.Overview, error) {
	return one[outbound.Overview](c.ask(ctx, http.MethodGet, "outbound", nil, nil))
}

// SetOutbound implements [Admin].
func (c *Client) SetOutbound(ctx context.Context, o Override) (outbound.Overview, error) {
	return submit[outbound.Overview](ctx, c, "outbound", o)
}

// ExplainTo implements [Admin].
func (c *Client) ExplainTo(ctx context.Context, destination string) (outbound.Explanation, error) {
	return one[outbound.Explanation](c.ask(ctx, http.MethodGet, "explain-to", url.Values{"destination": {destination}}, nil))
}
