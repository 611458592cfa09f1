// Package load generates load, for measuring: milter sessions as Postfix has
// them, and SMTP sessions over TLS (RFC 3207) as Postfix's clients do.
//
// A session that doesn't go as it should ends the run with an error: a fast
// failure must not pass for speed.
package load

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tlsratchet/test/bench/measure"
)

// Shape is how the messages come.
type Shape struct {
	// Sessions is how many there are at once, Length how many messages each
	// has, Messages how many there are in all: whole sessions, one at least.
	Sessions, Length, Messages int
}

// sessions is how many sessions there are in all.
func (s Shape) sessions() int { return max(1, s.Messages/s.Length) }

// timer notes what the messages of a session waited.
type timer struct {
	waits []time.Duration
	since time.Time
}

func (t *timer) start() { t.since = time.Now() }

func (t *timer) stop() {
	now := time.Now()
	t.waits = append(t.waits, now.Sub(t.since))
	t.since = now
}

// run has so many workers take one session after the other, each by its number.
func (s Shape) run(ctx context.Context, session func(context.Context, int, *timer) error) (measure.Run, error) {
	if s.Sessions < 1 || s.Length < 1 {
		return measure.Run{}, fmt.Errorf("a load of %d sessions with %d messages each", s.Sessions, s.Length)
	}
	timers := make([]timer, s.Sessions)
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for w := range timers {
		g.Go(func() error {
			t := timer{waits: make([]time.Duration, 0, s.Messages/s.Sessions+s.Length)}
			for n := int(next.Add(1)) - 1; n < s.sessions(); n = int(next.Add(1)) - 1 {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := session(ctx, n, &t); err != nil {
					return fmt.Errorf("session %d: %w", n+1, err)
				}
			}
			timers[w] = t
			return nil
		})
	}
	err := g.Wait()
	r := measure.Run{Took: time.Since(began)}
	for _, t := range timers {
		r.Waits = append(r.Waits, t.waits...)
	}
	return r, err
}
