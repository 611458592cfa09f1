package wire

import (
	"sync"
	"sync/atomic"
	"time"
)

// Stats are counts of connections since the server was made, but for Open.
type Stats struct {
	GateStats
	// NotMilter counts those closed because what came first was no milter
	// negotiation.
	NotMilter int64
	// BadFrame counts those closed for an empty packet or an unknown command.
	BadFrame int64
	// FrameTooBig counts those closed for a packet over Limits.Frame.
	FrameTooBig int64
	// Timeouts counts those closed because a deadline had passed.
	Timeouts int64
	// Broken counts those that ended within a packet or by a network error.
	Broken int64
	// BackendPanics counts backends that could not be made. Their sessions
	// accept everything.
	BackendPanics int64
}

// counters are what Stats is a copy of.
type counters struct {
	notMilter, badFrame, frameTooBig, timeouts, broken, backendPanics atomic.Int64
}

func (c *counters) snapshot(gate GateStats) Stats {
	return Stats{
		GateStats:     gate,
		NotMilter:     c.notMilter.Load(),
		BadFrame:      c.badFrame.Load(),
		FrameTooBig:   c.frameTooBig.Load(),
		Timeouts:      c.timeouts.Load(),
		Broken:        c.broken.Load(),
		BackendPanics: c.backendPanics.Load(),
	}
}

// sparse lets a few events a minute through to the log.
type sparse struct {
	perMinute int

	mu     sync.Mutex
	until  time.Time // end of the current minute
	logged int       // in it
	hidden int       // since the last that was logged
}

// allow reports whether to log this event, and how many were hidden before.
func (s *sparse) allow(now time.Time) (hidden int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.After(s.until) {
		s.until = now.Add(time.Minute)
		s.logged = 0
	}
	if s.logged >= s.perMinute {
		s.hidden++
		return 0, false
	}
	s.logged++
	hidden, s.hidden = s.hidden, 0
	return hidden, true
}
