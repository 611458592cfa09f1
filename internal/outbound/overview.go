package outbound

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"tlsratchet/tlsstate"
)

// State is what outlives a restart. No decision rests on the destinations in
// it.
type State struct {
	// Waiting are the destinations that fail, the newest failure first.
	Waiting []Waiting   `json:"waiting"`
	Outage  OutageState `json:"outage,omitzero"`
	Sent    Sent        `json:"sent"`
	// Unseen is since when Postfix asked, at last at Asked, and no line of its log was
	// read.
	Unseen time.Time `json:"unseen,omitzero"`
	Asked  time.Time `json:"asked,omitzero"`
}

// State returns what is to be kept.
func (b *Outbound) State() State {
	now := b.o.Now()
	b.sight.mu.Lock()
	defer b.sight.mu.Unlock()
	s := State{Waiting: b.waiting.list(now), Outage: b.outage.state(), Sent: b.tally.sent(tlsstate.DayOf(now)), Unseen: b.sight.since, Asked: b.sight.last}
	for i := range s.Sent.Clear {
		c := &s.Sent.Clear[i]
		switch rule := b.settings.Load().Rules.For(noAddr, c.Destination); {
		case rule.Exempt:
			c.State = "exempt"
		case rule.Least > tlsstate.Plaintext:
			c.State = "required"
		}
	}
	return s
}

// Restore continues where an earlier daemon stopped. Call it before the first
// look-up; the page and the commands may ask already. State too locks sight first.
func (b *Outbound) Restore(s State) {
	for _, mu := range []*sync.Mutex{&b.sight.mu, &b.outage.mu, &b.tally.mu, &b.waiting.mu} {
		mu.Lock()
		defer mu.Unlock()
	}
	b.outage.s, b.sight.since, b.sight.last = s.Outage, s.Unseen, s.Asked
	b.tally.restore(s.Sent)
	for i := range s.Waiting {
		note(&b.waiting.all, maxWaiting, s.Waiting[i].Destination, &s.Waiting[i])
	}
}

// Overview is the sending side as a whole, for people.
type Overview struct {
	// Action is "hold" or "observe". Forbidden is why no pin is held all the same:
	// by Postfix's own settings, or because its log is not read; "" if they are.
	Action    string `json:"action"`
	Forbidden string `json:"forbidden,omitempty"`
	// Unlogged is as in [Permission].
	Unlogged string `json:"tls_not_logged,omitempty"`
	// Lookups counts what Postfix asked, Encrypts what was answered "encrypt".
	Lookups  uint64 `json:"lookups"`
	Encrypts uint64 `json:"encrypts"`
	// Log is the log that is followed, "off" for none; LastLine is when its
	// newest line about a delivery was written, Fault why it can't be read.
	Log      string    `json:"log"`
	LastLine time.Time `json:"last_line,omitzero"`
	Fault    string    `json:"fault,omitempty"`
	State
}

// Overview returns the sending side as it is now, but for what is the server's
// and the follower's.
func (b *Outbound) Overview() Overview {
	s := b.settings.Load()
	return Overview{
		Action: word(s.Rules.Default().Stripped), Forbidden: cmp.Or(s.Permission.Reason, b.Blind()), Unlogged: s.Permission.Unlogged, State: b.State(),
	}
}

// Sent counts recipients that mail was sent to.
type Sent struct {
	// Days are the counts of the last 64 days, the oldest first.
	Days []SentDay `json:"days"`
	// Clear are the destinations that most mail went to in clear, the largest
	// first, of those that some went to within the same days.
	Clear []ClearDestination `json:"clear"`
}

// SentDay is one day.
type SentDay struct {
	Day tlsstate.Day `json:"day"`
	// Levels counts by level: plaintext, weak, TLS 1.2, TLS 1.3.
	Levels [tlsstate.TLS13 + 1]uint64 `json:"levels"`
}

// ClearDestination is a destination that takes mail in clear.
type ClearDestination struct {
	Destination string `json:"destination"`
	// Recipients counts those since the destination is listed, which it is for 64
	// days after Last.
	Recipients uint64       `json:"recipients"`
	Last       tlsstate.Day `json:"last"`
	// State is "exempt" or "required" where a [[send]] row makes it so.
	State string `json:"state,omitempty"`
}

// sentTally counts for people; no decision rests on it. Its memory is bounded.
type sentTally struct {
	mu    sync.Mutex
	days  [tlsstate.Window]SentDay
	clear map[string]ClearDestination
}

// maxClear bounds the destinations in clear that are counted one by one.
const maxClear = 2000

func (s *sentTally) add(name string, day, today tlsstate.Day, level tlsstate.Level) {
	if isOff(day, today) {
		return // of a log that was not read for 64 days
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &s.days[day%tlsstate.Window]
	if d.Day != day {
		*d = SentDay{Day: day}
	}
	d.Levels[level]++
	if level > tlsstate.Plaintext {
		return
	}
	c, known := s.clear[name]
	if !known && len(s.clear) >= maxClear {
		maps.DeleteFunc(s.clear, func(_ string, c ClearDestination) bool { return c.Recipients <= 1 || isOff(c.Last, today) })
	}
	if isOff(c.Last, today) {
		c = ClearDestination{Destination: name}
	}
	c.Recipients, c.Last = c.Recipients+1, max(c.Last, day)
	note(&s.clear, maxClear, name, c)
}

// isOff reports whether a day is none of the 64 that end with today, nor tomorrow by
// another's clock: ours was ahead, perhaps.
func isOff(d, today tlsstate.Day) bool {
	return int(d) <= int(today)-tlsstate.Window || int(d) > int(today)+1
}

// sent returns the counts of the 64 days that end with today.
func (s *sentTally) sent(today tlsstate.Day) Sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := Sent{
		Days:  slices.DeleteFunc(slices.Clone(s.days[:]), func(d SentDay) bool { return isOff(d.Day, today) }),
		Clear: slices.AppendSeq([]ClearDestination{}, maps.Values(s.clear)),
	}
	all.Clear = slices.DeleteFunc(all.Clear, func(c ClearDestination) bool { return isOff(c.Last, today) })
	slices.SortFunc(all.Days, func(a, b SentDay) int { return cmp.Compare(a.Day, b.Day) })
	slices.SortFunc(all.Clear, func(a, b ClearDestination) int {
		return cmp.Or(cmp.Compare(b.Recipients, a.Recipients), cmp.Compare(a.Destination, b.Destination))
	})
	return all
}

func (s *sentTally) restore(all Sent) {
	for _, d := range all.Days {
		s.days[d.Day%tlsstate.Window] = d
	}
	for _, c := range all.Clear {
		note(&s.clear, maxClear, c.Destination, c)
	}
}
