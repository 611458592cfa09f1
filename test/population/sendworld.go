package population

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// SendWorld is the mail that we send, its destinations, and the attacks on it.
type SendWorld struct {
	o       Options
	places  []place
	letters []sentMail // by time
	taps    []tap
	on      map[int][]int // by destination, -1 for all: indices of attacks
}

// place is one destination.
type place struct {
	kind     *Destination
	domain   string
	key      []byte // as Postfix asks for it
	network  int
	rate     float64
	turnAt   int64
	troubles []span
	times    []int64 // of the mail to it
	days     []int64 // distinct days of that
}

// span is a time: from, and before to.
type span struct{ from, to int64 }

func (s span) has(at int64) bool { return at >= s.from && at < s.to }

// sentMail is one message to one destination.
type sentMail struct {
	at int64
	to int32
}

// tap is one attack: on a destination, or on all (-1).
type tap struct {
	row   *Wiretap
	place int
	span
}

// NewSending makes the world. Peers is about how many destinations there are:
// 3,000 in the documentation.
func NewSending(o Options) *SendWorld {
	w := &SendWorld{o: o, on: map[int][]int{}}
	for k := range destinations {
		d := &destinations[k]
		for n := range max(1, int(math.Round(float64(d.Count)*float64(o.Peers)/3000))) {
			w.addPlace(d, n)
		}
	}
	slices.SortStableFunc(w.letters, func(a, b sentMail) int { return cmp.Compare(a.at, b.at) })
	w.tapAll()
	return w
}

func (w *SendWorld) rng(what uint64, i int) *rand.Rand {
	return rand.New(rand.NewPCG(w.o.Seed^what<<32, uint64(i)))
}

func (w *SendWorld) addPlace(k *Destination, n int) {
	i := len(w.places)
	rng := w.rng(21, i)
	p := place{kind: k, domain: fmt.Sprintf("d%d.example", i), network: i}
	p.key = []byte(p.domain)
	if k.Under > 0 {
		p.network = i - n + n%k.Under
	}
	p.rate = k.PerDay * math.Exp(rng.NormFloat64()*k.Spread-k.Spread*k.Spread/2)
	p.turnAt = int64(attacksFrom+rng.IntN(70))*day + int64(rng.IntN(day))
	p.troubles = w.troublesOf(k, p.network)
	phase := 0
	if k.Every > 0 {
		phase = rng.IntN(k.Every)
	}
	for d := range w.o.Days {
		for range poisson(rng, k.mean(p.rate, d, phase)) {
			p.times = append(p.times, int64(d)*day+clock(rng))
		}
	}
	slices.Sort(p.times)
	for _, at := range p.times {
		w.letters = append(w.letters, sentMail{at: at, to: int32(i)})
		if d := at / day; !slices.Contains(p.days[max(0, len(p.days)-1):], d) {
			p.days = append(p.days, d)
		}
	}
	w.places = append(w.places, p)
}

// mean is how many messages one is sent on a day, on average.
func (k *Destination) mean(rate float64, d, phase int) float64 {
	switch {
	case k.Every > 0 && d%k.Every != phase:
		return 0
	case k.Every > 0:
		return k.PerDay
	case d%7 >= 5:
		return rate * weekend
	}
	return rate
}

// troublesOf draws when the first host of a network is in trouble.
func (w *SendWorld) troublesOf(k *Destination, network int) (all []span) {
	rng := w.rng(22, network)
	for range poisson(rng, k.TroublesAYear*float64(w.o.Days)/365) {
		from := rng.Int64N(int64(w.o.Days) * day)
		all = append(all, span{from, from + int64(rng.ExpFloat64()*k.TroubleHours*hour)})
	}
	return all
}

func (w *SendWorld) tapAll() {
	for a := range wiretaps {
		row := &wiretaps[a]
		if row.Target == Everybody {
			w.addTap(tap{row: row, place: -1, span: span{everyFrom, everyTo}})
			continue
		}
		rng := w.rng(23, a)
		wanted := max(1, int(math.Round(float64(row.Count)*float64(w.o.Peers)/3000)))
		for tries := 0; wanted > 0 && tries < 20_000; tries++ {
			i := rng.IntN(len(w.places))
			if p := &w.places[i]; len(p.times) > 0 && w.tapAt(row, i, p.times[rng.IntN(len(p.times))]) {
				wanted--
			}
		}
	}
}

// tapAt adds an attack that begins with a message at a time, if the destination
// is one that the row is about.
func (w *SendWorld) tapAt(row *Wiretap, i int, at int64) bool {
	p := &w.places[i]
	if row.Target == FirstContact {
		at = p.times[0]
	}
	t := tap{row: row, place: i, span: span{at, at + int64(row.Hours*hour)}}
	if !w.suits(&t, p) || !w.quiet(&t) {
		return false
	}
	w.addTap(t)
	return true
}

func (w *SendWorld) addTap(t tap) {
	w.taps = append(w.taps, t)
	w.on[t.place] = append(w.on[t.place], len(w.taps)-1)
}

// suits reports whether the destination is one that the row is about.
func (w *SendWorld) suits(t *tap, p *place) bool {
	before := 0
	for _, d := range p.days {
		if d < t.from/day && d >= t.from/day-64 {
			before++
		}
	}
	level := p.kind.Always && p.kind.Level >= 2
	switch t.row.Target {
	case FirstContact:
		return level && len(p.days) > 3
	case Rare:
		return p.kind.Every > 0 && len(p.days) > 3 && p.days[3]*day <= t.from
	case Upgraded:
		return p.kind.Turn == Upgrades && t.from > p.turnAt+10*day
	case Busy:
		return level && before >= 20 && t.from > attacksFrom*day
	}
	return level && before >= seasonedDays && t.from > attacksFrom*day
}

// quiet reports whether nothing else happens to the destination about the time.
// A Worn one was stripped for a week before.
func (w *SendWorld) quiet(t *tap) bool {
	worn := false
	for _, a := range w.on[t.place] {
		other := &w.taps[a]
		weeks := other.to - other.from
		if t.row.Target == Worn && weeks == 7*day && other.row.Means == Strip && t.from > other.to && t.from < other.to+40*day {
			worn = true
		} else if t.from < other.to+64*day && other.from < t.to+64*day {
			return false
		}
	}
	apart := func(s span) bool { return t.to+day < s.from || t.from > s.to+day }
	for _, s := range w.places[t.place].troubles {
		if !apart(s) {
			return false
		}
	}
	return worn == (t.row.Target == Worn) && apart(walls[0]) && apart(walls[1]) && apart(span{everyFrom, everyTo})
}
