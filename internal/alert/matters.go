package alert

import (
	"cmp"
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

// Matter is the newest notice of a key.
type Matter struct {
	Message *Message `json:"message"`
	// Worst is the highest severity that was reported since it opened: whoever
	// got that gets the end too.
	Worst Severity `json:"worst"`
}

func (m *Matter) isOpen() bool { return m != nil && m.Message.Status == StatusOpen }

// repeats reports whether n repeats the newest message within a day.
func (m *Matter) repeats(n *Message) bool {
	l := m.Message
	return l.Status == n.Status && l.Title == n.Title && l.Severity == n.Severity && n.At.Sub(l.At) < sameAfter
}

// isNews reports whether a notice is to be sent, and records it.
func (a *Alerts) isNews(m *Message) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, worst := a.matters[m.Key], m.Severity
	switch {
	case !last.isOpen() && m.Status == StatusClosed, last.isOpen() && last.repeats(m):
		return false
	case m.Status == StatusClosed:
		m.Severity = last.Worst
	case last.isOpen():
		worst = max(worst, last.Worst)
	}
	if last != nil || len(a.matters) < maxNotices {
		a.matters[m.Key] = &Matter{Message: m, Worst: worst}
	}
	return true
}

// State returns the state for [Options.State] at the next start.
func (a *Alerts) State() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := State{Destinations: slices.Clone(a.known)}
	for _, m := range a.matters {
		if m.isOpen() {
			s.Matters = append(s.Matters, *m)
		}
	}
	slices.SortFunc(s.Matters, func(x, y Matter) int { return cmp.Compare(x.Message.Key, y.Message.Key) })
	return s
}

// restore fills in the state of the last run.
func (a *Alerts) restore(s State) {
	a.known = s.Destinations
	for _, m := range s.Matters {
		if m.Message != nil && m.isOpen() && len(a.matters) < maxNotices {
			a.matters[m.Message.Key] = &m
		}
	}
}
