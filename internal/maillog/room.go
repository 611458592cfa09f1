package maillog

import (
	"maps"
	"slices"
)

const (
	// maxOpen bounds the sessions under way, maxEnded those that are kept for
	// their process' next.
	maxOpen  = 1 << 16
	maxEnded = 1 << 12
)

// makeRoom bounds the sessions that are kept.
func (j *joiner) makeRoom() {
	if len(j.sessions)-j.open >= maxEnded {
		maps.DeleteFunc(j.sessions, func(_ process, s *session) bool { return !s.open })
	}
	if j.open >= maxOpen {
		j.prune()
	}
}

// prune ends the sessions that were silent longest.
func (j *joiner) prune() {
	var times []int64
	for _, s := range j.sessions {
		if s.open {
			times = append(times, s.last)
		}
	}
	slices.Sort(times)
	j.finishAll(times[len(times)/2])
}
