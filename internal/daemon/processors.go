package daemon

import (
	"context"
	"os"
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
func TuneProcessors(ctx context.Context) { tuneProcessors(ctx, processorTime, processors()) }

func tuneProcessors(ctx context.Context, used func() time.Duration, set func(all bool)) {
	now, at, before := true, time.Now(), used()
	for loop.Pause(ctx, lookEvery) {
		took, total := time.Since(at), used()
		share := float64(total-before) / float64(took)
		at, before = at.Add(took), total
		if all := share >= busy || now && share >= quiet; all != now { // setting it stops all for a moment
			now = all
			set(now)
		}
	}
	set(true) // for what is to be done before the end
}

// processors returns what gives Go one processor or all: as many as GOMAXPROCS in the
// environment states, else as the system has for us then, for a container's share
// changes.
func processors() (set func(all bool)) {
	n, stated := runtime.GOMAXPROCS(0), os.Getenv("GOMAXPROCS") != ""
	return func(all bool) {
		switch {
		case !all:
			runtime.GOMAXPROCS(1)
		case stated:
			runtime.GOMAXPROCS(n)
		default:
			runtime.SetDefaultGOMAXPROCS() // Go follows the system from here on
		}
	}
}

// processorTime is what the process has used, in all of its threads.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails for no such argument alone
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
