// Package trouble logs what fails for a time: once when it begins, and once when
// it is over. What fails in between is counted: a store or a destination that is
// away fails for every message.
package trouble

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// State is whether something works. Note may be called at the same time.
type State struct {
	// Begins and Ends are what is logged.
	Begins, Ends string
	// Level is that of the line that it begins; 0 is [slog.LevelError].
	Level slog.Level
	// Calm is how long nothing may have failed for a success to be the end: more
	// than 0 where some tries succeed while others fail.
	Calm time.Duration

	failing     atomic.Bool
	mu          sync.Mutex
	since, last time.Time
	failures    int
}

// Failing reports whether the last line that was logged is that of the begin.
func (s *State) Failing() bool { return s.failing.Load() }

// Note notes how a try went; nil is a success. It logs the begin and the end, with
// attrs, and reports whether this was the begin.
func (s *State) Note(log *slog.Logger, err error, attrs ...any) (begins bool) {
	switch {
	case err != nil && s.failed():
		log.Log(context.Background(), cmp.Or(s.Level, slog.LevelError), s.Begins, append(attrs, "error", err)...)
		return true
	case err == nil && s.failing.Load():
		if after, failures, over := s.works(); over {
			log.Info(s.Ends, append(attrs, "after", after, "failures", failures)...)
		}
	}
	return false
}

// failed reports whether the failure is the first.
func (s *State) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures++
	if s.last = time.Now(); s.failing.Swap(true) {
		return false
	}
	s.since, s.failures = s.last, 1
	return true
}

// works reports whether the success is the end, and of how many failures in what
// time.
func (s *State) works() (after time.Duration, failures int, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.last) < s.Calm || !s.failing.Swap(false) {
		return 0, 0, false
	}
	return time.Since(s.since).Round(time.Second), s.failures, true
}
