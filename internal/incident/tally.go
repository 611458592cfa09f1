package incident

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"tlsratchet/tlsstate"
)

// outcomes is how many outcomes there are.
const outcomes = int(tlsstate.Downgraded) + 1

// Counts are messages by level and outcome.
type Counts [levels][outcomes]uint64

// Level returns the messages of one level.
func (c *Counts) Level(l tlsstate.Level) (n uint64) {
	for _, of := range c[l] {
		n += of
	}
	return n
}

// DayCounts are those of one UTC day.
type DayCounts struct {
	Day    tlsstate.Day
	Counts Counts
}

// Tally counts messages for people by day, the oldest first, days without a
// message left out. Its JSON form is documented in docs/alerts.md.
type Tally []DayCounts

// tally is the record that counts: one slot a day, for 64 days.
type tally struct {
	mu      sync.Mutex
	slots   [tlsstate.Window]DayCounts
	changed bool
}

// add counts a message. It is on the mail path.
func (t *tally) add(at time.Time, l tlsstate.Level, o tlsstate.Outcome) {
	day := tlsstate.DayOf(at)
	level, outcome := min(int(l), levels-1), min(int(o), outcomes-1)
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.slots[day%tlsstate.Window]
	if s.Day != day {
		*s = DayCounts{Day: day}
	}
	s.Counts[level][outcome]++
	t.changed = true
}

// read returns the 64 days that end with today.
func (t *tally) read(today tlsstate.Day) Tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all Tally
	for ago := tlsstate.Window - 1; ago >= 0; ago-- {
		day := int(today) - ago
		if day <= 0 {
			continue
		}
		if s := t.slots[day%tlsstate.Window]; int(s.Day) == day {
			all = append(all, s)
		}
	}
	return all
}

// take returns the whole record if it changed since it was taken last.
func (t *tally) take() (all Tally, changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.changed {
		return nil, false
	}
	t.changed = false
	for _, s := range t.slots {
		if s.Day != 0 {
			all = append(all, s)
		}
	}
	return all, true
}

// again says that what was taken last must be taken again.
func (t *tally) again() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changed = true
}

// restore puts a record in that was kept elsewhere.
func (t *tally) restore(all Tally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range all {
		t.slots[d.Day%tlsstate.Window] = d
	}
}

// dayJSON is a day in JSON: messages by level, then by outcome, without zeros.
type dayJSON struct {
	Day      string                       `json:"day"`
	Messages map[string]map[string]uint64 `json:"messages"`
}

// MarshalJSON returns the documented form.
func (d DayCounts) MarshalJSON() ([]byte, error) {
	j := dayJSON{Day: d.Day.String(), Messages: map[string]map[string]uint64{}}
	for l := range d.Counts {
		for o, n := range d.Counts[l] {
			if n == 0 {
				continue
			}
			level := tlsstate.Level(l).String()
			if j.Messages[level] == nil {
				j.Messages[level] = map[string]uint64{}
			}
			j.Messages[level][tlsstate.Outcome(o).String()] = n
		}
	}
	return json.Marshal(j)
}

// UnmarshalJSON is the inverse of MarshalJSON. The error says what is not in
// that form.
func (d *DayCounts) UnmarshalJSON(b []byte) error {
	var j dayJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	read := DayCounts{}
	var err error
	if read.Day, err = parseDay(j.Day); err != nil {
		return err
	}
	if read.Day == 0 {
		return errors.New("counts without a day")
	}
	for level, counts := range j.Messages {
		l, err := tlsstate.ParseLevel(level)
		if err != nil {
			return err
		}
		for outcome, n := range counts {
			o, err := index(outcomes, outcome, func(o int) string { return tlsstate.Outcome(o).String() })
			if err != nil {
				return err
			}
			read.Counts[l][o] = n
		}
	}
	*d = read
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
