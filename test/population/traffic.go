package population

import (
	"math"
	"math/rand/v2"

	"tlsratchet/tlsstate"
)

// hourly is how mail is spread over the hours of a day.
var hourly = cumulate([24]float64{2, 2, 2, 2, 2, 2, 3, 5, 8, 9, 9, 8, 7, 8, 8, 8, 7, 6, 5, 4, 4, 4, 3, 3})

const (
	// weekend is how busy a Saturday or Sunday is.
	weekend = 0.3
	// bareShare is what share of mail comes to the listener without STARTTLS,
	// from the peers that use it.
	bareShare = 0.3
)

func cumulate(weights [24]float64) (sums [24]float64) {
	total := 0.0
	for _, w := range weights {
		total += w
	}
	sum := 0.0
	for i, w := range weights {
		sum += w / total
		sums[i] = sum
	}
	return sums
}

// clock draws a moment of a day.
func clock(rng *rand.Rand) int64 {
	u := rng.Float64()
	for h, sum := range hourly {
		if u < sum {
			return int64(h*hour + rng.IntN(hour))
		}
	}
	return day - 1
}

// poisson draws how many events there are, if the mean is so many.
func poisson(rng *rand.Rand, mean float64) int {
	if mean > 30 {
		return max(0, int(math.Round(mean+rng.NormFloat64()*math.Sqrt(mean))))
	}
	n, p, limit := 0, 1.0, math.Exp(-mean)
	for {
		p *= rng.Float64()
		if p <= limit {
			return n
		}
		n++
	}
}

// sendAll makes all the mail of a peer.
func (w *World) sendAll(i int) {
	p := &w.peers[i]
	k, rng := p.kind, p.rng
	phase := 0
	if k.Every > 0 {
		phase = rng.IntN(k.Every)
	}
	bare := i%10 == 3 // those that use the second listener
	for d := range w.o.Days {
		mean := p.rate
		if d%7 >= 5 {
			mean *= weekend
		}
		if k.Every > 0 {
			mean = 0
			if d%k.Every == phase {
				mean = k.PerDay
			}
		}
		for range poisson(rng, mean) {
			at := int64(d)*day + clock(rng)
			w.send(i, w.anyHost(p, at, rng.Float64()), at, bare)
		}
		w.sendCorner(i, d)
	}
}

// sendCorner makes what the hosts without TLS send on one day.
func (w *World) sendCorner(i, d int) {
	p := &w.peers[i]
	for _, h := range p.hosts {
		if !w.hosts[h].corner || p.kind.Corner == 0 {
			continue
		}
		for range poisson(p.rng, p.kind.CornerPerDay) {
			if at := int64(d)*day + clock(p.rng); at >= w.hosts[h].from {
				w.send(i, h, at, false)
			}
		}
	}
}

// send adds one message.
func (w *World) send(i, h int, at int64, bare bool) {
	p := &w.peers[i]
	m := message{at: at, host: int32(h), sender: int32(i), bits: spfPass}
	if p.kind.Forwards {
		m.sender, m.bits = int32(p.rng.IntN(i+1)), 0
	}
	if p.kind.Junk {
		m.bits |= junk
	}
	if bare && p.rng.Float64() < bareShare {
		m.bits |= viaBare
	}
	m.level = p.kind.Level
	if p.rng.Float64() < p.kind.Lower {
		m.level--
	}
	if p.rng.Float64() < p.kind.Clear || p.clear {
		m.level = tlsstate.Plaintext
	}
	w.mail = append(w.mail, m)
}

// anyHost returns one of the peer's hosts that live at the time, by u from 0 to
// 1. The first ones are used more often.
func (w *World) anyHost(p *peerTruth, at int64, u float64) int {
	n := len(p.hosts)
	first := int(u * u * float64(n))
	for k := range n {
		h := p.hosts[(first+k)%n]
		if x := &w.hosts[h]; !x.corner && x.from <= at && at < x.to {
			return h
		}
	}
	return p.hosts[0]
}

// happens is what the wire makes of a session.
type happens struct {
	level tlsstate.Level
	// attack is the index of the attack that lowered the level, or -1.
	attack int
	dns    bool
}

// session is what a session of a message is like at a time: that of the
// message itself or of a later try.
func (w *World) session(m *message, n int, h int32, at int64) happens {
	x := &w.hosts[h]
	p := &w.peers[x.peer]
	is := happens{level: m.level, attack: -1}
	if m.bits&viaBare != 0 || x.clear || p.inClear(at) {
		is.level = tlsstate.Plaintext
	}
	if at >= outageFrom && at < outageTo {
		is.level = tlsstate.Plaintext
		return is
	}
	for _, a := range w.strips[x.peer] {
		w.attacks[a].strip(&is, a, n, h, at)
	}
	for _, a := range w.strips[-1] {
		w.attacks[a].strip(&is, a, n, h, at)
	}
	return is
}

func (p *peerTruth) inClear(at int64) bool {
	switch p.kind.Turn {
	case Upgrades:
		return at < p.turnAt
	case TurnsOff:
		return at >= p.turnAt
	case Remembers:
		return at >= outageFrom && at < p.clearTo
	}
	return false
}
