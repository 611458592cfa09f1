package ratchet

import (
	"fmt"
	"log/slog"
	"sync/atomic"

	"tlsratchet/internal/clean"
)

// failures counts what went wrong inside, and logs it once: a store that is
// away fails for every message.
type failures struct {
	log   *slog.Logger
	count atomic.Uint64

	// since is how many failures there were before those under way, plus one; 0
	// while all is well.
	since  atomic.Uint64
	panics clean.Panics
}

// note counts a failure, and logs the first of a series.
func (f *failures) note(err error) {
	before := f.count.Add(1) - 1
	if f.since.CompareAndSwap(0, before+1) {
		f.log.Error("decision failed; message accepted; further failures are only counted until it works again", "error", err)
	}
}

// over notes a success, and logs the end of a series.
func (f *failures) over() {
	if since := f.since.Load(); since != 0 && f.since.CompareAndSwap(since, 0) {
		f.log.Info("decisions work again", "failures", f.count.Load()-since+1)
	}
}

// panicked counts and logs a panic.
func (f *failures) panicked(p any) error {
	f.count.Add(1)
	f.panics.Log(f.log, "panic in a decision; message accepted", p)
	return fmt.Errorf("%w: %v", ErrPanic, p)
}
