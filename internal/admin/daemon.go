package admin

import (
	"context"
	"errors"
	"fmt"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/ratchet"
)

// Breaker implements [Admin].
func (l *Local) Breaker(context.Context) (s ratchet.BreakerState, err error) {
	if l.CircuitBreaker == nil {
		return s, fmt.Errorf("%w: the circuit breaker is the daemon's", ErrNoDaemon)
	}
	return l.CircuitBreaker.State(l.Now()), nil
}

// SetBreaker implements [Admin].
func (l *Local) SetBreaker(ctx context.Context, o Override) (s ratchet.BreakerState, err error) {
	if err := given(o.Why); err != nil {
		return s, err
	}
	answer, err := parseAnswer(o.Answer)
	if err != nil {
		return s, err
	}
	if l.CircuitBreaker != nil {
		l.CircuitBreaker.Override(answer)
		l.audit(ctx, "breaker", o.Why, o.Who, "answer", o.Answer)
	}
	return l.Breaker(ctx)
}

// parseAnswer returns nil for "auto".
func parseAnswer(s string) (*ratchet.Answer, error) {
	if s == "auto" {
		return nil, nil
	}
	for a := ratchet.Armed; a <= ratchet.Suspended; a++ {
		if s == a.String() {
			return &a, nil
		}
	}
	return nil, fmt.Errorf("%w: unknown answer %q: use auto, armed, softened or suspended", ErrBadRequest, clean.Text(s, 40))
}

// sending reports why there is no sending side.
func (l *Local) sending() error {
	switch {
	case l.Sending != nil:
		return nil
	case l.CircuitBreaker != nil:
		return errors.New("the sending side is switched off: [outbound] listen = []")
	}
	return fmt.Errorf("%w: the sending side is the daemon's", ErrNoDaemon)
}

// Outbound implements [Admin].
func (l *Local) Outbound(context.Context) (o outbound.Overview, err error) {
	if err := l.sending(); err != nil {
		return o, err
	}
	return l.Sending.Overview(), nil
}

// SetOutbound implements [Admin].
func (l *Local) SetOutbound(ctx context.Context, o Override) (now outbound.Overview, err error) {
	if err := given(o.Why); err != nil {
		return now, err
	}
	if err := l.sending(); err != nil {
		return now, err
	}
	if err := l.Sending.Override(o.Answer); err != nil {
		return now, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	l.audit(ctx, "outbound", o.Why, o.Who, "answer", o.Answer)
	return l.Outbound(ctx)
}

// ExplainTo implements [Admin].
func (l *Local) ExplainTo(_ context.Context, destination string) (e outbound.Explanation, err error) {
	if err := l.sending(); err != nil {
		return e, err
	}
	if e, err = l.Sending.Explain(destination); err != nil {
		err = fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return e, err
}

// given checks the reason for an act.
func given(why string) error {
	if why == "" {
		return fmt.Errorf("%w: say why: it goes into the log", ErrBadRequest)
	}
	return nil
}

// audit logs an act with its reason, and who did it.
func (l *Local) audit(ctx context.Context, act, why, claimed string, what ...any) {
	attrs := append([]any{"act", act}, what...)
	l.Log.Warn("operator", append(attrs, "why", clean.Text(why, 300), "who", who(ctx, claimed))...)
}
