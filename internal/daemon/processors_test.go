package daemon

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestProcessors: one processor while there is little to do, all while there is much,
// and no change in between.
func TestProcessors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seconds := []float64{2, 0.1, 0.4, 0.49, 0.5, 0.3, 0.26, 0.2, 0, 3}
		var total time.Duration
		used := func() time.Duration {
			now := total
			if len(seconds) > 0 {
				total += time.Duration(seconds[0] * float64(time.Second))
				seconds = seconds[1:]
			}
			return now
		}
		var got []bool
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			tuneProcessors(ctx, used, func(all bool) { got = append(got, all) })
		}()
		time.Sleep(time.Minute)
		cancel()
		<-done
		if want := []bool{false, true, false, true, false, true}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

// TestProcessorTime: it counts what the process does.
func TestProcessorTime(t *testing.T) {
	for before := processorTime(); processorTime() == before; { // ends by the test's own limit
	}
}
