package alert

import (
	"errors"
	"maps"
	"slices"
	"time"

	"tlsratchet/internal/loop"
	"tlsratchet/internal/trouble"
)

// State is what must outlive a restart, so that nothing is reported twice, and
// nothing lost. Its JSON form is for that alone.
type State struct {
	// Matters are the notices that are open, by key.
	Matters []Matter `json:"matters"`
	// Destinations are the names of the destinations: one that is not among them
	// at the next start is sent what is open.
	Destinations []string `json:"destinations"`
	// Waiting are the messages that were not delivered yet, by destination.
	Waiting map[string][]Waiting `json:"waiting,omitempty"`
	// NotBefore is the time before which a destination wants nothing.
	NotBefore map[string]time.Time `json:"not_before,omitempty"`
}

// State returns the state for [Options.State] at the next start. What is held back
// for a digest waits in it as that digest.
func (a *Alerts) State() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := State{Matters: slices.Collect(maps.Values(a.matters)), Destinations: slices.Clone(a.known), Waiting: make(map[string][]Waiting), NotBefore: make(map[string]time.Time)}
	for name, b := range a.boxes {
		if time.Now().Before(b.until) {
			s.NotBefore[name] = b.until
		}
		if len(b.waiting) > 0 {
			s.Waiting[name] = slices.Clone(b.waiting)
		}
	}
	if a.held.Messages > 0 {
		digest := Waiting{a.heldBack(), time.Now().UTC()}
		for _, w := range a.workers {
			if w.to.wants(digest.Message) {
				s.Waiting[w.to.Name] = append(s.Waiting[w.to.Name], digest)
			}
		}
	}
	return s
}

// restore fills in the state of the last run, whatever the file holds.
func (a *Alerts) restore(s State) {
	a.known = s.Destinations
	for _, m := range s.Matters {
		if m.Message != nil && m.Message.Status == StatusOpen && len(a.matters) < maxNotices {
			m.Message = m.Message.from(a.o.Host)
			m.Message.What = WhatNotice
			a.matters[m.Message.Key] = m
		}
	}
	for name, t := range s.NotBefore {
		a.box(name).until = time.Now().Add(min(time.Until(t), maxRetryAfter))
	}
	for name, all := range s.Waiting {
		b := a.box(name)
		for _, m := range all {
			switch {
			case m.Message == nil:
			case len(b.waiting) > backlog:
				a.drop(name, m.Message, errors.New("too many alerts wait for this destination"))
			default:
				b.waiting = append(b.waiting, Waiting{m.Message.from(a.o.Host), m.Queued})
			}
		}
	}
}

// expire drops what waits too long for a former destination, which no worker tries,
// and reports whether there was any.
func (a *Alerts) expire() (some bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, b := range a.boxes {
		if slices.Contains(a.known, name) {
			continue
		}
		b.waiting = b.without(func(m Waiting) bool {
			old := time.Since(m.Queued).Abs() >= keepFor
			if old {
				a.drop(name, m.Message, errors.New("it waited for "+span(keepFor)+", and its destination was removed"))
			}
			some = some || old
			return old
		})
	}
	return some
}

// saveStates saves the state whenever it changed, until the end; what failed a
// minute later again.
func (a *Alerts) saveStates() {
	defer close(a.saved)
	saving := trouble.State{
		Begins: "could not save the alert state; alerts may repeat or be lost after a restart",
		Ends:   "the alert state is saved again",
	}
	expired := time.Tick(time.Hour)
	for running := true; running; {
		select {
		case <-a.changed:
		case <-expired:
			if !a.expire() {
				continue
			}
		case <-a.ended:
			running = false
		}
		pause, err := savePause, a.o.Save(a.State())
		if saving.Note(a.o.Log, err); err != nil {
			pause = firstRetry
			loop.Wake(a.changed)
		}
		select {
		case <-time.After(pause):
		case <-a.ended:
		}
	}
}
