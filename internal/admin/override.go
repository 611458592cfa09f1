package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/ratchet"
)

// The answers that an operator may give in place of the circuit breaker, and of
// what the sending side makes of many failures.
var (
	BreakerAnswers  = []string{"auto", ratchet.Armed.String(), ratchet.Softened.String(), ratchet.Suspended.String()}
	OutboundAnswers = []string{outbound.Auto, outbound.Hold, outbound.Release}
)

// Check returns an error, which wraps [ErrBadRequest], where the answer is none of
// those or there is no reason. The zero wish, for none, is right.
func (o Override) Check(answers []string) error {
	last := len(answers) - 1
	switch {
	case o == Override{}:
		return nil
	case !slices.Contains(answers, o.Answer):
		return fmt.Errorf("%w: unknown answer %q: use %s or %s", ErrBadRequest, clean.Text(o.Answer, 40), strings.Join(answers[:last], ", "), answers[last])
	}
	return checkReason(o.Why)
}

func checkReason(why string) error {
	if strings.TrimSpace(why) == "" {
		return fmt.Errorf("%w: give a reason for the log: --why TEXT", ErrBadRequest)
	}
	return nil
}

// override does what an operator wants, if anything, and leaves an audit line.
func (l *Local) override(ctx context.Context, what string, o Override, answers []string, do func()) error {
	if err := o.Check(answers); err != nil || o == (Override{}) {
		return err
	}
	do()
	l.audit(ctx, what, o.Why, o.Who, "answer", o.Answer)
	return nil
}

// audit logs an act with its reason, and who did it.
func (l *Local) audit(ctx context.Context, act, why, claimed string, what ...any) {
	attrs := append([]any{"act", act}, what...)
	l.Log.Warn("operator", append(attrs, "why", clean.Text(why, 300), "who", who(ctx, claimed))...)
	if l.Acted != nil {
		l.Acted()
	}
}

func (l *Local) breaker(ctx context.Context, o Override) (s ratchet.BreakerState, err error) {
	if l.CircuitBreaker == nil {
		return s, fmt.Errorf("%w: only the daemon has the circuit breaker", ErrNoDaemon)
	}
	err = l.override(ctx, "breaker", o, BreakerAnswers, func() {
		answer := new(ratchet.Answer)
		if answer.UnmarshalText([]byte(o.Answer)) != nil {
			answer = nil // auto
		}
		l.CircuitBreaker.Override(answer)
	})
	return l.CircuitBreaker.State(l.Now()), err
}

// sending reports why there is no sending side.
func (l *Local) sending() error {
	switch {
	case l.Sending != nil:
		return nil
	case l.CircuitBreaker != nil:
		return errors.New("the sending side is switched off: [outbound] listen = []")
	}
	return fmt.Errorf("%w: only the daemon has the sending side", ErrNoDaemon)
}

func (l *Local) outbound(ctx context.Context, o Override) (now outbound.Overview, err error) {
	if err := l.sending(); err != nil {
		return now, err
	}
	err = l.override(ctx, "outbound", o, OutboundAnswers, func() { l.Sending.Override(o.Answer) })
	return l.Sending.Overview(), err
}

func (l *Local) explainTo(_ context.Context, destination string) (e outbound.Explanation, err error) {
	if err := l.sending(); err != nil {
		return e, err
	}
	if err := CheckDestination(destination); err != nil {
		return e, err
	}
	return l.Sending.Explain(destination)
}

// CheckDestination returns an error, which wraps [ErrBadRequest], for what is no
// destination.
func CheckDestination(name string) error {
	if _, err := outbound.DestinationOf(name); err != nil {
		return fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return nil
}
