package wire

import "sync"

// What of clients that left is kept for the next: up to MaxIdle sessions of go-milter,
// each a goroutine and some 16 KiB, and for each unix socket up to MaxUnused descriptors.
const (
	MaxIdle   = 16
	MaxUnused = 64
)

// spare are things in use by nobody, kept for the next that needs one. Its methods may
// be called at the same time.
type spare[T any] struct {
	mu     sync.Mutex
	unused []T
	closed bool
}

// put keeps one, unless there are so many, or they were dropped for good.
func (s *spare[T]) put(one T, most int) (kept bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.unused) >= most {
		return false
	}
	s.unused = append(s.unused, one)
	return true
}

// take returns the one that was kept last.
func (s *spare[T]) take() (one T, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.unused)
	if n == 0 {
		return one, false
	}
	one = s.unused[n-1]
	s.unused = s.unused[:n-1]
	return one, true
}

// drop returns all that were kept. If final, none is any more.
func (s *spare[T]) drop(final bool) []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.unused
	s.unused, s.closed = nil, s.closed || final
	return all
}
