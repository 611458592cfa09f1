package daemon

import (
	"context"
	"time"
)

// every calls f at once, and again each time that so long has passed or somebody
// pokes, until ctx ends. A nil poke is nobody.
func every(ctx context.Context, d time.Duration, poke <-chan struct{}, f func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-poke:
		}
	}
}
