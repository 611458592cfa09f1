package wire

import (
	"sync"
	"time"
)

// sparse lets one event a minute through to the log. The zero value is ready.
type sparse struct {
	mu     sync.Mutex
	until  time.Time // end of the current minute
	hidden int       // since the last that was logged
}

// allow reports whether to log this event, and how many were hidden before.
func (s *sparse) allow(now time.Time) (hidden int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !now.After(s.until) {
		s.hidden++
		return 0, false
	}
	s.until = now.Add(time.Minute)
	hidden, s.hidden = s.hidden, 0
	return hidden, true
}
