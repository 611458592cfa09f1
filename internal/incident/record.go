package incident

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tlsratchet/tlsstate"
)

// plain is an incident without its methods: its fields as they are tagged.
type plain Incident

// record is an incident in JSON: on disk, in alerts and for commands. It adds
// the names of what Go keeps as numbers. Days are as 2026-09-21, times as RFC
// 3339; counts that are zero are left out.
type record struct {
	*plain
	Identity string            `json:"identity"`
	Kind     string            `json:"kind"`
	Cap      string            `json:"cap"`
	Evidence evidenceJSON      `json:"evidence"`
	Done     map[string]uint64 `json:"done,omitempty"`
	Seen     map[string]uint64 `json:"seen,omitempty"`
}

type evidenceJSON struct {
	*Evidence
	Pin   string `json:"pin"`
	Since string `json:"since,omitempty"`
	Last  string `json:"last,omitempty"`
}

func actionName(a int) string { return tlsstate.Action(a).String() }
func levelName(l int) string  { return tlsstate.Level(l).String() }
func kindName(k int) string   { return tlsstate.Downgrade(k).String() }

// MarshalJSON returns the documented form.
func (i Incident) MarshalJSON() ([]byte, error) {
	e := &i.Evidence
	return json.Marshal(record{
		plain: (*plain)(&i), Identity: i.Identity.String(), Kind: i.Kind.String(), Cap: i.Cap.String(),
		Evidence: evidenceJSON{e, e.Pin.String(), dayText(e.Since), dayText(e.Last)},
		Done:     named(i.Done[:], actionName), Seen: named(i.Seen[:], levelName),
	})
}

// UnmarshalJSON is the inverse of MarshalJSON. Whatever the bytes, the result
// is an incident within its bounds and of clean texts, or an error.
func (i *Incident) UnmarshalJSON(b []byte) error {
	var read Incident
	r := record{plain: (*plain)(&read), Evidence: evidenceJSON{Evidence: &read.Evidence}}
	if err := json.Unmarshal(b, &r); err != nil {
		return err
	}
	if err := errors.Join(read.check(), r.parse(&read), r.Evidence.parse()); err != nil {
		return err
	}
	read.clean()
	*i = read
	return nil
}

// check returns what is out of bounds.
func (i *Incident) check() error {
	switch {
	case i.ID == 0:
		return errors.New("incident without a number")
	case i.Reopened < 0:
		return fmt.Errorf("reopened %d times", i.Reopened)
	case len(i.Clients) > MaxClients || len(i.From) > MaxFrom || len(i.Held) > MaxHeld:
		return errors.New("too many names")
	case i.ClosedBy != StillOpen && i.ClosedBy != Met && i.ClosedBy != Quiet && i.ClosedBy != Unpinned:
		return fmt.Errorf("closed by %.32q", string(i.ClosedBy))
	case (i.ClosedBy == StillOpen) != i.Closed.IsZero():
		return errors.New("neither open nor closed")
	}
	return nil
}

// clean cleans all texts.
func (i *Incident) clean() {
	i.Words = text(i.Words, maxText+3)
	for n := range i.From {
		i.From[n] = text(i.From[n], 255+3)
	}
	for n, c := range i.Clients {
		i.Clients[n] = Client{text(c.Address, 64), text(c.Host, 255)}
	}
	for n := range i.Held {
		i.Held[n].QueueID = queueID(i.Held[n].QueueID)
	}
}

// parse reads the names of a record.
func (r *record) parse(i *Incident) error {
	var errs [5]error
	var kind int
	i.Identity, errs[0] = tlsstate.ParseIdentity(r.Identity)
	kind, errs[1] = index(int(tlsstate.Unauthenticated)+1, r.Kind, kindName)
	i.Kind = tlsstate.Downgrade(kind)
	i.Cap, errs[2] = tlsstate.ParseAction(r.Cap)
	errs[3] = counts(i.Done[:], r.Done, actionName)
	errs[4] = counts(i.Seen[:], r.Seen, levelName)
	return errors.Join(errs[:]...)
}

func (r *evidenceJSON) parse() error {
	var errs [3]error
	e := r.Evidence
	e.Pin, errs[0] = tlsstate.ParseLevel(r.Pin)
	e.Since, errs[1] = parseDay(r.Since)
	e.Last, errs[2] = parseDay(r.Last)
	return errors.Join(errs[:]...)
}

// named returns counts by name, without zeros.
func named(counts []uint64, name func(int) string) map[string]uint64 {
	m := make(map[string]uint64)
	for i, n := range counts {
		if n != 0 {
			m[name(i)] = n
		}
	}
	return m
}

// counts is the inverse of named.
func counts(to []uint64, from map[string]uint64, name func(int) string) error {
	for word, n := range from {
		i, err := index(len(to), word, name)
		if err != nil {
			return err
		}
		to[i] = n
	}
	return nil
}

// index returns which of n names s is.
func index(n int, s string, name func(int) string) (int, error) {
	for i := range n {
		if name(i) == s {
			return i, nil
		}
	}
	return 0, fmt.Errorf("unknown word %.32q", s)
}

// dayText returns a day as 2026-09-21, or "" for never.
func dayText(d tlsstate.Day) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// parseDay is the inverse of dayText.
func parseDay(s string) (tlsstate.Day, error) {
	if s == "" {
		return 0, nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("unknown day %.32q", s)
	}
	if d := tlsstate.DayOf(t); d.String() == s {
		return d, nil
	}
	return 0, fmt.Errorf("day %.32q is out of range", s)
}
