package store

import (
	"hash/maphash"

	"tlsratchet/tlsstate"
)

// Limits on new identities a day: of one kind from one network and from one /64 of
// IPv6, and of all kinds by one operator. Hosting companies give each customer a
// /64: none uses up what its neighbours need. But the pool of a big provider is one
// too, and its customers are senders.
const (
	networkNewcomers  = 64
	subnetNewcomers   = networkNewcomers * 3 / 4 // and all of the senders
	operatorNewcomers = 256 * networkNewcomers
)

// quota counts a day's newcomers by network and by operator, in 4.25 MiB
// whatever comes.
type quota struct {
	day       tlsstate.Day
	seed      maphash.Seed
	networks  counters[uint8] // made by the first newcomer
	operators counters[uint16]
}

// admits counts a newcomer of a known network. It returns false if its network, /64 or
// operator has had its share of the day: of one kind, so that a host that sends for a
// thousand senders leaves no less for its neighbours' addresses.
func (q *quota) admits(by *source, kind tlsstate.Kind) bool {
	q.turn(by.today)
	n := maphash.Comparable(q.seed, [...]uint64{uint64(by.from), uint64(kind), 0})
	s := maphash.Comparable(q.seed, [...]uint64{uint64(by.from), uint64(kind), by.subnet})
	if kind == tlsstate.Sender {
		s = n
	}
	o := maphash.Comparable(q.seed, by.from.operator())
	if q.networks.count(n) >= networkNewcomers || s != n && q.networks.count(s) >= subnetNewcomers || q.operators.count(o) >= operatorNewcomers {
		return false
	}
	q.networks.add(n)
	if s != n {
		q.networks.add(s)
	}
	q.operators.add(o)
	return true
}

// turn begins a new day, but not for a late change of the day before.
func (q *quota) turn(today tlsstate.Day) {
	switch {
	case q.networks[0] == nil:
		q.day, q.seed = today, maphash.MakeSeed()
		q.networks, q.operators = newCounters[uint8](1<<21), newCounters[uint16](1<<16)
	case today != q.day && today+1 != q.day:
		q.day = today
		q.networks.clear()
		q.operators.clear()
	}
}

// counters is a count-min sketch: two rows of counters at hashed places, of
// which the smaller counts. Where very many share the places it counts too
// many, never too few.
type counters[N uint8 | uint16] [2][]N

func newCounters[N uint8 | uint16](places int) counters[N] {
	return counters[N]{make([]N, places), make([]N, places)}
}

func (c *counters[N]) at(hash uint64) (a, b *N) {
	places := uint64(len(c[0]))
	return &c[0][hash%places], &c[1][hash>>32%places]
}

func (c *counters[N]) count(hash uint64) N {
	a, b := c.at(hash)
	return min(*a, *b)
}

func (c *counters[N]) add(hash uint64) {
	a, b := c.at(hash)
	n := min(*a, *b) + 1
	*a, *b = max(*a, n), max(*b, n)
}

func (c *counters[N]) clear() {
	clear(c[0])
	clear(c[1])
}
