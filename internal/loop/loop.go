// Package loop is what goroutines do that go round and round: they wait, and are woken.
package loop

import (
	"context"
	"time"
)

// Every calls f at once, and again each time that so long has passed or somebody
// wakes it, until ctx ends. A nil wake is nobody.
func Every(ctx context.Context, d time.Duration, wake <-chan struct{}, f func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-wake:
		}
	}
}

// Pause waits, and reports whether to go on: ctx has not ended.
func Pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Wake leaves a token in a channel with room for one, where there isn't one yet: who
// reads it looks now, or when it comes back. It never blocks.
func Wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Ask has the goroutine that reads asks do something, and returns its answer, the
// error of ctx, or over once that goroutine has ended.
func Ask(ctx context.Context, asks chan<- chan error, ended <-chan struct{}, over error) error {
	answer := make(chan error, 1)
	select {
	case asks <- answer:
	case <-ended:
		return over
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
