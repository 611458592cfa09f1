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
