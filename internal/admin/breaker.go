package admin

import (
	"context"
	"fmt"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/ratchet"
)

// Breaker implements [Admin].
func (l *Local) Breaker(context.Context) (ratchet.BreakerState, error) {
	if l.breaker == nil {
		return ratchet.BreakerState{}, fmt.Errorf("%w: the circuit breaker is the daemon's", ErrNoDaemon)
	}
	return l.breaker.State(l.now()), nil
}

// SetBreaker implements [Admin].
func (l *Local) SetBreaker(ctx context.Context, o Override) (ratchet.BreakerState, error) {
	if o.Why == "" {
		return ratchet.BreakerState{}, fmt.Errorf("%w: say why: it goes into the log", ErrBadRequest)
	}
	answer, err := parseAnswer(o.Answer)
	if err != nil {
		return ratchet.BreakerState{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if l.breaker != nil {
		l.breaker.Override(answer)
		l.log.Warn("operator", "act", "breaker", "answer", o.Answer, "why", clean.Text(o.Why, 300), "who", who(ctx, o.Who))
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
	return nil, fmt.Errorf("unknown answer %q: use auto, armed, softened or suspended", clean.Text(s, 40))
}
