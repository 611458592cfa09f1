package alert

import (
	"maps"
	"slices"
)

// State is what must outlive a restart, so that nothing is reported twice. Its
// JSON form is for that alone.
type State struct {
	// Matters are the notices that are open, by key.
	Matters []Matter `json:"matters"`
	// Destinations are the names of the destinations: one that is not among them
	// at the next start is sent what is open.
	Destinations []string `json:"destinations"`
}

// Matter is the newest notice of a key whose end was not reported.
type Matter struct {
	Message *Message `json:"message"`
	// Worst is the highest severity that was reported since it opened: whoever
	// got that gets the end too.
	Worst Severity `json:"worst"`
}

// isNews reports whether a notice is to be sent, and records it.
func (a *Alerts) isNews(m *Message) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, open := a.matters[m.Key]
	switch {
	case !open && m.Status == StatusClosed:
		return false
	case m.Status == StatusClosed:
		m.Severity = last.Worst
		delete(a.matters, m.Key)
		return true
	case open && last.Message.Title == m.Title && last.Message.Severity == m.Severity && m.At.Sub(last.Message.At) < sameAfter:
		return false
	}
	if open || len(a.matters) < maxNotices {
		a.matters[m.Key] = Matter{m, max(m.Severity, last.Worst)}
	}
	return true
}

// State returns the state for [Options.State] at the next start.
func (a *Alerts) State() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	return State{Matters: slices.Collect(maps.Values(a.matters)), Destinations: slices.Clone(a.known)}
}

// restore fills in the state of the last run.
func (a *Alerts) restore(s State) {
	a.known = s.Destinations
	for _, m := range s.Matters {
		if m.Message != nil && m.Message.Status == StatusOpen && len(a.matters) < maxNotices {
			a.matters[m.Message.Key] = m
		}
	}
}
