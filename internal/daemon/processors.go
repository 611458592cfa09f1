package daemon

import (
	"context"
	"os"
	"runtime"
	"sync"
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

// processors are those that Go uses.
type processors struct {
	set func(all bool)

	mu  sync.Mutex
	all bool // as they were set last
	// waiting is how many wait for pages of a file, or may: there are all then.
	waiting int
}

// newProcessors returns all that we were given: as many as GOMAXPROCS in the
// environment states, else as the system has for us at the time, for a container's
// share changes.
func newProcessors() *processors {
	n, stated := runtime.GOMAXPROCS(0), os.Getenv("GOMAXPROCS") != ""
	return &processors{all: true, set: func(all bool) {
		switch {
		case !all:
			runtime.GOMAXPROCS(1)
		case stated:
			runtime.GOMAXPROCS(n)
		default:
			runtime.SetDefaultGOMAXPROCS() // Go follows the system from here on
		}
	}}
}

// TuneProcessors has Go use one processor while the daemon has little to do, and all
// that it was given at other times, until ctx ends. With several, each message that
// comes to an idle Go program wakes one more, which finds nothing to do.
func (d *Daemon) TuneProcessors(ctx context.Context) { d.processors.tune(ctx, processorTime) }

func (p *processors) tune(ctx context.Context, used func() time.Duration) {
	at, before := time.Now(), used()
	for loop.Pause(ctx, lookEvery) {
		took, total := time.Since(at), used()
		share := float64(total-before) / float64(took)
		at, before = at.Add(took), total
		p.mu.Lock()
		p.change(share >= busy || p.all && (share >= quiet || p.waiting > 0))
		p.mu.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change(true) // for what is to be done before the end
}

// change needs mu. It stops all for a moment, and so for as long as somebody waits for
// a page.
func (p *processors) change(all bool) {
	if all != p.all {
		p.all = all
		p.set(all)
	}
}

// paging does work that may wait for a page of a mapped file. Go does not see that
// wait: with one processor, all would wait.
func (p *processors) paging(work func()) {
	p.mu.Lock()
	p.waiting++
	p.change(true)
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.waiting--
	}()
	work()
}

// processorTime is what the process has used, in all of its threads.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails for no such argument alone
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
