package alert

import (
	"cmp"
	"slices"
)

// Matter is what a notice's key stands for, as it was told last: a process that
// keeps those that are open tells nothing again at its next start. Its JSON form
// is for that alone.
type Matter struct {
	Message *Message `json:"message"`
	// Worst is the most that was told of it since it began: whoever was told
	// then is told that it is over.
	Worst Severity `json:"worst"`
}

func (m *Matter) isOpen() bool { return m != nil && m.Message.Status == StatusOpen }

// says tells whether the last message of its matter, which is open, said what
// this one says, within a day.
func (m *Matter) says(n *Message) bool {
	l := m.Message
	return l.Status == n.Status && l.Title == n.Title && l.Severity == n.Severity && n.At.Sub(l.At) < sameAfter
}

// isNews tells whether a notice says something new, and remembers it. That
// something is over is news to whoever was told of it.
func (a *Alerts) isNews(m *Message) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, worst := a.matters[m.Key], m.Severity
	switch {
	case !last.isOpen() && m.Status == StatusClosed, last.isOpen() && last.says(m):
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

// Matters returns what was told of notices and is not over, by key: for
// [Options.Matters] at the next start.
func (a *Alerts) Matters() (open []Matter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range a.matters {
		if m.isOpen() {
			open = append(open, *m)
		}
	}
	slices.SortFunc(open, func(x, y Matter) int { return cmp.Compare(x.Message.Key, y.Message.Key) })
	return open
}

// remember takes in what was told before the start.
func (a *Alerts) remember(matters []Matter) {
	for _, m := range matters {
		if m.Message != nil && m.isOpen() && len(a.matters) < maxNotices {
			a.matters[m.Message.Key] = &m
		}
	}
}
