package status

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/incident"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/selfcheck"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// How many rows the overview shows of a list that may be long.
const (
	maxOpen  = 8
	maxToday = 25
	// maxEvidence is how many incidents are shown with all evidence: more than a
	// browser on a telephone can bear may be open at once.
	maxEvidence = 100
)

type overview struct {
	Picture picture
	// Today and Days are the shares of mail that came encrypted.
	Today, Days share
	// Since is the first day with a message, if some days before it are in the picture.
	Since tlsstate.Day

	Open []incident.Incident
	// OpenMore is how many more are open.
	OpenMore int

	// Downgrades are the newest of today; DowngradesMore is 0 if they are all.
	Downgrades     []DowngradeEvent
	DowngradesMore int

	Sending sendingView

	Plain   []PlainPeer
	Counted time.Time

	// Trouble is what is wrong with the history file.
	Trouble []string

	Breaker, Check card
	// Together are the names that downgraded within the breaker's window.
	Together []ratchet.BreakerName
}

// incidents are those that are open, and how many more there are.
type incidents struct {
	Open []incident.Incident
	More int
}

func (p Page) incidents() (v incidents) {
	v.Open, v.More = strongest(p.Open(), maxEvidence)
	return v
}

// share is how much of the mail came encrypted.
type share struct{ Encrypted, All uint64 }

// Percent is in words.
func (s share) Percent() string { return percent(s.Encrypted, s.All) }

// AllOpen is how many incidents are open.
func (o overview) AllOpen() int { return len(o.Open) + o.OpenMore }

func (p Page) overview() overview {
	now := p.Now()
	today := tlsstate.DayOf(now)
	tally, census := p.Tally(today), p.Census()
	o := overview{
		Picture: newPicture(tally, today), Days: encrypted(tally),
		Sending: newSendingView(p.Sending(), census.Pinned[tlsstate.Destination]),
		Plain:   census.Plain, Counted: census.At,
		Check:   newCheckCard(p.SelfCheck(), p.MX, now),
		Trouble: strings.FieldsFunc(p.Trouble(), func(r rune) bool { return r == '\n' }),
	}
	breaker := p.Breaker()
	o.Breaker, o.Together = newBreakerCard(&breaker), breaker.Recent
	if n := len(tally); n > 0 && tally[n-1].Day == today {
		o.Today = encrypted(tally[n-1:])
	}
	if len(tally) > 0 && tally[0].Day > today-tlsstate.Window+1 {
		o.Since = tally[0].Day
	}
	o.Open, o.OpenMore = strongest(p.Open(), maxOpen)
	o.Downgrades, o.DowngradesMore = first(p.Downgrades(today), maxToday)
	return o
}

// first returns the first most of a list, and how many there are more.
func first[T any](list []T, most int) ([]T, int) {
	n := min(len(list), most)
	return list[:n], len(list) - n
}

// strongest is first for incidents. Where there are more, those with the strongest
// evidence are the first.
func strongest(open []incident.Incident, most int) ([]incident.Incident, int) {
	if len(open) > most {
		slices.SortStableFunc(open, alert.Stronger)
	}
	return first(open, most)
}

func (s *share) add(counts [levels]uint64) {
	encrypted, all := words.Encrypted(counts)
	s.Encrypted, s.All = s.Encrypted+encrypted, s.All+all
}

func encrypted(days incident.Tally) (s share) {
	for i := range days {
		s.add(days[i].Levels())
	}
	return s
}

// sendingView is the mail that we send. Its Action is "" where nobody watches it.
type sendingView struct {
	outbound.Overview
	// Pinned is how many destinations have a pin that holds, Days how much of the
	// mail of 64 days was sent encrypted.
	Pinned int
	Days   share
	// Rows are the destinations that fail, More how many others do.
	Rows []outbound.Waiting
	More int
}

func newSendingView(o outbound.Overview, pinned int) sendingView {
	v := sendingView{Overview: o, Pinned: pinned}
	for _, d := range o.Sent.Days {
		v.Days.add(d.Levels)
	}
	v.Rows, v.More = first(o.Waiting, maxOpen)
	return v
}

// card is the circuit breaker or the self-check, in words.
type card struct {
	Word, Means string
	// Mark is good, fair, bad or none; At is since when it is so, or when that was
	// found.
	Mark string
	At   time.Time
}

func newBreakerCard(s *ratchet.BreakerState) card {
	mark := map[ratchet.Answer]string{ratchet.Armed: "good", ratchet.Softened: "fair"}[s.Holds()]
	return card{Word: s.Holds().String(), Means: words.Breaker(s), Mark: cmp.Or(mark, "bad"), At: s.Since}
}

func newCheckCard(r selfcheck.Result, mx string, now time.Time) card {
	if mx == "" {
		return card{Word: "off", Mark: "none", Means: "STARTTLS of this server is not tested"}
	}
	if r.At.IsZero() {
		return card{Word: "no answer yet", Mark: "none", Means: r.Describe(mx, selfcheck.Unknown)}
	}
	p := r.Problem(now)
	mark := map[selfcheck.Problem]string{selfcheck.Unknown: "none", selfcheck.OK: "good", selfcheck.CertificateExpires: "fair"}[p]
	return card{Word: p.Words(), Mark: cmp.Or(mark, "bad"), Means: r.Describe(mx, p), At: r.At}
}
