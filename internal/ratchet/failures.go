package ratchet

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/trouble"
)

// failures counts what went wrong inside, and logs it once: a store that is
// away fails for every message.
type failures struct {
	log   *slog.Logger
	count atomic.Uint64

	trouble trouble.State
	panics  clean.Panics
}

func newFailures(log *slog.Logger) failures {
	return failures{log: log, trouble: trouble.State{
		Begins: "decision failed; message accepted; further failures are only counted until it works again",
		Ends:   "decisions work again",
		Calm:   time.Minute, // where a disk is slow, those from the cache work
	}}
}

// note counts a failure.
func (f *failures) note(err error) {
	f.count.Add(1)
	f.trouble.Note(f.log, err)
}

// panicked counts and logs a panic.
func (f *failures) panicked(p any) error {
	f.count.Add(1)
	f.panics.Log(f.log, "panic in a decision; message accepted", p)
	return fmt.Errorf("%w: %v", ErrPanic, p)
}
