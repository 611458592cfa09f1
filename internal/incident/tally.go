package incident

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tlsratchet/tlsstate"
)

// Counts are numbers of messages by level and outcome.
type Counts = By[tlsstate.Level, ByOutcome]

// DayCounts are those of one UTC day.
type DayCounts struct {
	Day    tlsstate.Day `json:"day"`
	Counts Counts       `json:"messages"`
}

// Levels returns the messages of each level without the exempt ones: mail of our
// own users and relays, which states nothing of peers.
func (d *DayCounts) Levels() (n [tlsstate.TLS13 + 1]uint64) {
	for l := range n {
		for _, of := range d.Counts[l] {
			n[l] += of
		}
		n[l] -= d.Counts[l][tlsstate.Exempt]
	}
	return n
}

// Judged returns how many messages were judged, and how many were exempt.
func (d *DayCounts) Judged() (judged, exempt uint64) {
	for _, of := range d.Counts {
		exempt += of[tlsstate.Exempt]
		for _, n := range of[tlsstate.New:] {
			judged += n
		}
	}
	return judged, exempt
}

// Tally counts messages for people by day, the oldest first, days without a
// message left out. Its JSON form is documented in docs/alerts.md.
type Tally []DayCounts

// tally is the record that counts: one slot a day, for 64 days.
type tally struct {
	counted atomic.Uint64 // messages since the start
	mu      sync.Mutex
	slots   [tlsstate.Window]DayCounts
}

// add counts a message. It is on the mail path.
func (t *tally) add(at time.Time, l tlsstate.Level, o tlsstate.Outcome) {
	day := tlsstate.DayOf(at)
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.slots[day%tlsstate.Window]
	if s.Day != day {
		*s = DayCounts{Day: day}
	}
	s.Counts[l][o]++
	t.counted.Add(1)
}

// all returns the whole record.
func (t *tally) all() Tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := slices.DeleteFunc(slices.Clone(t.slots[:]), func(d DayCounts) bool { return d.Day == 0 })
	slices.SortFunc(all, func(a, b DayCounts) int { return cmp.Compare(a.Day, b.Day) })
	return all
}

// restore fills in a record that was read from the file.
func (t *tally) restore(all Tally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range all {
		t.slots[d.Day%tlsstate.Window] = d
	}
}
