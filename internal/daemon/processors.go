package daemon

import (
	"context"
	"runtime"
	"syscall"
	"time"

	"tlsratchet/internal/loop"
)

const (
	// lookEvery is how often the daemon looks how busy it was.
	lookEvery = time.Second
	// busy is the part of one processor from which on Go gets all of them, quiet
	// that below which it gets one.
	busy, quiet = 0.5, 0.25
)

// TuneProcessors has Go use one processor while the daemon has little to do, and all
// that it was given at other times, until ctx ends. With several, each message that
// comes to an idle Go program wakes one more, which finds nothing to do.
func TuneProcessors(ctx context.Context) {
	tuneProcessors(ctx, runtime.GOMAXPROCS(0), processorTime, func(n int) { runtime.GOMAXPROCS(n) })
}

func tuneProcessors(ctx context.Context, all int, used func() time.Duration, set func(int)) {
	now, at, before := all, time.Now(), used()
	for loop.Pause(ctx, lookEvery) {
		took, total := time.Since(at), used()
		share, want := float64(total-before)/float64(took), now
		at, before = at.Add(took), total
		switch {
		case share >= busy:
			want = all
		case share < quiet:
			want = 1
		}
		if want != now { // setting it stops all for a moment
			now = want
			set(now)
		}
	}
	set(all) // for what is to be done before the end
}

// processorTime is what the process has used, in all of its threads.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
