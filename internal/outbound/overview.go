package outbound

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// Overview is the sending side as a whole, for people.
type Overview struct {
	// Action is "hold" or "observe". Forbidden is why Postfix's own settings
	// forbid to hold; "" if they don't.
	Action    string `json:"action"`
	Forbidden string `json:"forbidden,omitempty"`
	// Lookups counts what Postfix asked, Encrypts what was answered "encrypt".
	Lookups  uint64 `json:"lookups"`
	Encrypts uint64 `json:"encrypts"`
	// Log is the log that is followed, "off" for none; LastLine is when its
	// newest line was written, Fault why it can't be read.
	Log      string    `json:"log"`
	LastLine time.Time `json:"last_line,omitzero"`
	Fault    string    `json:"fault,omitempty"`
	// Waiting are the destinations that fail, the newest failure first.
	Waiting []Waiting   `json:"waiting"`
	Outage  OutageState `json:"outage,omitzero"`
	Sent    Sent        `json:"sent"`
}

// Sent counts recipients that mail was sent to.
type Sent struct {
	// Days are the counts of the last 64 days, the oldest first.
	Days []SentDay `json:"days,omitempty"`
	// Clear are the destinations that most mail went to in clear, the largest
	// first, within the same days.
	Clear []ClearDestination `json:"clear,omitempty"`
}

// SentDay is one day.
type SentDay struct {
	Day string `json:"day"`
	// Levels counts by level: plaintext, weak, TLS 1.2, TLS 1.3.
	Levels [tlsstate.TLS13 + 1]uint64 `json:"levels"`
}

// ClearDestination is a destination that takes mail in clear.
type ClearDestination struct {
	Destination string `json:"destination"`
	Recipients  uint64 `json:"recipients"`
}

// sentTally counts for people; no decision rests on it. Its memory is bounded.
type sentTally struct {
	mu    sync.Mutex
	days  map[tlsstate.Day]*[tlsstate.TLS13 + 1]uint64
	clear map[string]uint64
}

// maxClear bounds the destinations in clear that are counted one by one.
const maxClear = 2000

func (s *sentTally) add(name string, day tlsstate.Day, level tlsstate.Level) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.days == nil {
		s.days, s.clear = make(map[tlsstate.Day]*[tlsstate.TLS13 + 1]uint64), make(map[string]uint64)
	}
	if s.days[day] == nil {
		maps.DeleteFunc(s.days, func(d tlsstate.Day, _ *[tlsstate.TLS13 + 1]uint64) bool { return int(d)+tlsstate.Window <= int(day) })
		s.days[day] = new([tlsstate.TLS13 + 1]uint64)
	}
	s.days[day][level]++
	if level > tlsstate.Plaintext {
		return
	}
	if _, known := s.clear[name]; !known && len(s.clear) >= maxClear {
		maps.DeleteFunc(s.clear, func(_ string, n uint64) bool { return n <= 1 })
	}
	if _, known := s.clear[name]; known || len(s.clear) < maxClear {
		s.clear[name]++
	}
}

func (s *sentTally) sent() (all Sent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, day := range slices.Sorted(maps.Keys(s.days)) {
		all.Days = append(all.Days, SentDay{Day: day.String(), Levels: *s.days[day]})
	}
	for name, n := range s.clear {
		all.Clear = append(all.Clear, ClearDestination{Destination: name, Recipients: n})
	}
	slices.SortFunc(all.Clear, func(a, b ClearDestination) int {
		return cmp.Or(cmp.Compare(b.Recipients, a.Recipients), cmp.Compare(a.Destination, b.Destination))
	})
	return all
}

func (s *sentTally) restore(all Sent) {
	s.days, s.clear = make(map[tlsstate.Day]*[tlsstate.TLS13 + 1]uint64), make(map[string]uint64)
	for _, d := range all.Days {
		if at, err := time.Parse(time.DateOnly, d.Day); err == nil {
			s.days[tlsstate.DayOf(at)] = &d.Levels
		}
	}
	for _, c := range all.Clear[:min(len(all.Clear), maxClear)] {
		s.clear[c.Destination] = c.Recipients
	}
}

// Overview returns the sending side as it is now, but for what is the server's
// and the follower's.
func (b *Outbound) Overview() Overview {
	s := b.settings.Load()
	return Overview{
		Action: word(s.Rules.Default().Stripped), Forbidden: s.Permission.Reason,
		Waiting: b.waiting.list(b.o.Now()), Outage: b.outage.state(), Sent: b.tally.sent(),
	}
}

// Explanation is what would be answered for a destination now, and why.
type Explanation struct {
	Destination string `json:"destination"`
	// Encrypt reports whether the answer is "encrypt".
	Encrypt bool `json:"encrypt"`
	// Rules are the steps to it, a sentence each.
	Rules []string `json:"rules"`
}

// Explain returns what would be answered for a destination now.
func (b *Outbound) Explain(key string) (e Explanation, err error) {
	domain, ok := destinationOf(key)
	if !ok {
		return e, fmt.Errorf("%.100q is no destination: name the domain that mail is sent to", key)
	}
	id := tlsstate.Identity{Kind: tlsstate.Destination, Name: domain}
	h, err := b.o.Histories.Load(id)
	if err != nil {
		return e, fmt.Errorf("loading %s: %w", id, err)
	}
	now, s := b.o.Now(), b.settings.Load()
	rule := s.Rules.For(noAddr, domain)
	v := stripped(h, tlsstate.DayOf(now), rule)
	e = Explanation{Destination: domain, Encrypt: b.holds(domain, h, now)}
	add := func(format string, args ...any) { e.Rules = append(e.Rules, fmt.Sprintf(format, args...)) }
	switch {
	case h.Last == 0:
		add("No delivery to %s is known.", domain)
	default:
		add("Deliveries to %s are known from %s to %s.", domain, h.First, h.Last)
	}
	add("%s", pinWords(&v, s))
	switch {
	case rule.Exempt:
		add("A [[send]] row exempts it.")
	case rule.Peer:
		add("A [[send]] row sets the action %s.", word(rule.Stripped))
	default:
		add("The action is %s.", word(rule.Stripped))
	}
	if s.Permission.Reason != "" {
		add("Postfix's own settings forbid to hold: %s.", s.Permission.Reason)
	}
	o := b.outage.state()
	if o.Override != "" {
		add("%s.", strings.ToUpper(overrideWords[o.Override][:1])+overrideWords[o.Override][1:])
	}
	if !o.Since.IsZero() {
		add("Since %s many destinations fail at once: this is an outage of our own network.", o.Since.UTC().Format(time.RFC3339))
	}
	if e.Encrypt {
		add(`The answer to Postfix is "encrypt": without TLS its mail waits.`)
	} else {
		add("The answer to Postfix is that nothing is known: mail is sent as without tlsratchet.")
	}
	return e, nil
}

// pinWords returns what a delivery in clear would mean.
func pinWords(v *tlsstate.Verdict, s *Settings) string {
	switch {
	case v.Required:
		return fmt.Sprintf("The configuration requires %s of it.", v.Pin)
	case v.Outcome == tlsstate.Downgraded && v.Pin < s.Least:
		return fmt.Sprintf("It is pinned at %s since %s, below [outbound] least = %q.", v.Pin, v.Since, s.Least)
	case v.Outcome == tlsstate.Downgraded:
		return fmt.Sprintf("It is pinned at %s since %s: met %s.", v.Pin, v.Since, words.On(v.Days, v.Last))
	case v.State > tlsstate.PinHolds:
		return fmt.Sprintf("Its pin at %s is %s: below it on %d days since %s.", v.Pin, v.State, v.Below, v.Last)
	}
	return "It has no pin."
}
