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
func (l *Local) Breaker(ctx context.Context, o Override) (s ratchet.BreakerState, err error) {
	if l.CircuitBreaker == nil {
		return s, fmt.Errorf("%w: the circuit breaker is the daemon's", ErrNoDaemon)
	}
	err = l.override(ctx, "breaker", o, func() error {
		answer, err := parseAnswer(o.Answer)
		if err == nil {
			l.CircuitBreaker.Override(answer)
		}
		return err
	})
	return l.CircuitBreaker.State(l.Now()), err
}

// override does what an operator wants, if anything, and leaves an audit line.
func (l *Local) override(ctx context.Context, what string, o Override, do func() error) error {
	if o == (Override{}) {
		return nil
	}
	err := given(o.Why)
	if err == nil {
		err = do()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	l.audit(ctx, what, o.Why, o.Who, "answer", o.Answer)
	if l.Acted != nil {
		l.Acted()
	}
	return nil
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
	return nil, fmt.Errorf("unknown answer %q: use auto, armed, softened or suspended", clean.Text(s, 40))
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
func (l *Local) Outbound(ctx context.Context, o Override) (now outbound.Overview, err error) {
	if err := l.sending(); err != nil {
		return now, err
	}
	err = l.override(ctx, "outbound", o, func() error { return l.Sending.Override(o.Answer) })
	return l.Sending.Overview(), err
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
		return errors.New("say why: it goes into the log")
	}
	return nil
}

// audit logs an act with its reason, and who did it.
func (l *Local) audit(ctx context.Context, act, why, claimed string, what ...any) {
	attrs := append([]any{"act", act}, what...)
	l.Log.Warn("operator", append(attrs, "why", clean.Text(why, 300), "who", who(ctx, claimed))...)
}
