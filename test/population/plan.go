package population

import (
	"math"
	"math/rand/v2"

	"tlsratchet/tlsstate"
)

// attack is one attack of the world.
type attack struct {
	row      *Attack
	peer     int // -1: everybody
	host     int // -1: all of the peer's
	from, to int64
	// known says that the address of its first message was seen encrypted on
	// five days before, and never in clear: it is pinned, if anything is.
	known bool
}

// strip lowers the level of a session that the attack is on.
func (a *attack) strip(is *happens, index, salt int, h int32, at int64) {
	if at < a.from || at >= a.to || is.level <= a.row.To || (a.host >= 0 && a.host != int(h)) {
		return
	}
	if a.row.Share < 1 && chance(uint64(salt), uint64(at)) >= a.row.Share {
		return
	}
	is.level, is.attack, is.dns = a.row.To, index, a.row.DNS
}

// chance returns a number from 0 to 1 that depends on the two alone.
func chance(a, b uint64) float64 {
	x := a*0x9e3779b97f4a7c15 ^ b*0xbf58476d1ce4e5b9
	x = (x ^ x>>31) * 0x94d049bb133111eb
	return float64((x^x>>29)>>11) / (1 << 53)
}

// planner chooses whom to attack, and when.
type planner struct {
	w     *World
	rng   *rand.Rand
	row   *Attack
	by    [][]int32 // by peer: its messages, in order
	kinds map[*Kind][]int
}

// attackAll makes the attacks of the table.
func (w *World) attackAll() {
	p := &planner{w: w, rng: w.rngFor(2, 0), by: make([][]int32, len(w.peers)), kinds: map[*Kind][]int{}}
	for n := range w.mail {
		i := w.hosts[w.mail[n].host].peer
		p.by[i] = append(p.by[i], int32(n))
	}
	for r := range attacks {
		p.row = &attacks[r]
		for range max(1, int(math.Round(float64(p.row.Count)*float64(w.o.Peers)/5000))) {
			p.one()
		}
	}
}

// one makes one attack, if it finds whom to attack.
func (p *planner) one() {
	w := p.w
	if p.row.Target == Everybody {
		w.addAttack(attack{row: p.row, peer: -1, host: -1, from: everyFrom, to: everyTo})
		return
	}
	for range 20000 {
		i := p.rng.IntN(len(w.peers))
		if len(p.by[i]) == 0 {
			continue
		}
		k := p.rng.IntN(len(p.by[i]))
		if p.row.Target == FirstContact {
			k = 0
		}
		m := &w.mail[p.by[i][k]]
		a := attack{row: p.row, peer: i, host: -1, from: m.at, to: m.at + int64(p.row.Hours*hour)}
		if !p.fits(i, k) || !p.free(&a) {
			continue
		}
		if p.row.Target == NewHost {
			a.host = w.addHost(i, "new", w.network4(), m.at, w.end())
			m.host = int32(a.host)
		}
		w.addAttack(a)
		return
	}
}

func (w *World) addAttack(a attack) {
	w.attacks = append(w.attacks, a)
	w.strips[a.peer] = append(w.strips[a.peer], len(w.attacks)-1)
}

// fits reports whether the k-th message of a peer may be the first of the attack.
func (p *planner) fits(i, k int) bool {
	t := &p.w.peers[i]
	m := &p.w.mail[p.by[i][k]]
	if is := p.w.session(m, m.salt(), m.host, m.at); is.level <= p.row.To || is.attack >= 0 {
		return false
	}
	seasoned := t.kind.Always && m.at > attacksFrom*day && p.days(i, k) >= seasonedDays
	switch p.row.Target {
	case Seasoned:
		return seasoned
	case Busy:
		return seasoned && k >= 200 && chance(uint64(m.salt()), uint64(m.at)) < p.row.Share
	case NewHost:
		return seasoned && t.kind.Hosts >= 100
	case Tricked:
		return seasoned && t.kind.Hosts == 1 && m.at > trickFrom*day && m.at < trickTo*day
	case FirstContact:
		return t.kind.Always
	case Rare:
		return t.kind.Every == 30 && m.at > attacksFrom*day && p.days(i, k) == 3
	case Upgraded:
		return t.kind.Turn == Upgrades && m.at > t.turnAt+10*day
	case Partly:
		return t.kind.Clear >= 0.1 && m.at > attacksFrom*day
	case Worn:
		return seasoned && p.worn(i, m.at)
	}
	return false
}

// worn reports whether a long attack on the peer is over for some weeks.
func (p *planner) worn(i int, at int64) bool {
	for _, n := range p.w.strips[i] {
		if a := &p.w.attacks[n]; a.row.Share == 1 && a.long() && at > a.to+5*day && at < a.to+50*day {
			return true
		}
	}
	return false
}

// free reports whether nothing else happens to the peer then.
func (p *planner) free(a *attack) bool {
	for _, busy := range [][2]int64{{outageFrom - day, outageTo + 5*day}, {gapFrom, gapTo}, {gap2From, gap2To}, {everyFrom - day, everyTo + day}} {
		if a.from >= busy[0] && a.from < busy[1] {
			return false
		}
	}
	for _, o := range p.w.strips[a.peer] {
		b := &p.w.attacks[o]
		if p.row.Target != Worn && (a.spoils(b) || b.spoils(a)) {
			return false
		}
	}
	return a.to <= p.w.end()
}

// spoils reports whether what an attack leaves behind would decide another one's
// outcome: it lasts, or it was long enough to wear the pin out.
func (a *attack) spoils(b *attack) bool {
	if a.host >= 0 && b.host >= 0 {
		return false
	}
	until := a.to + 5*day
	if a.long() {
		until = a.to + tlsstate.Window*day
	}
	return b.from < until && a.from-5*day < b.to
}

// long reports whether an attack may wear a pin out.
func (a *attack) long() bool { return a.to-a.from > 4*day }

// days counts the days on which the peer has sent encrypted mail before its
// k-th message.
func (p *planner) days(i, k int) int {
	seen := map[int64]bool{}
	today := p.w.mail[p.by[i][k]].at / day
	for _, n := range p.by[i][:k] {
		m := &p.w.mail[n]
		if d := m.at / day; d < today && m.level > tlsstate.Plaintext && m.bits&viaBare == 0 {
			seen[d] = true
		}
	}
	return len(seen)
}

// salt distinguishes messages, whatever else is in the world.
func (m *message) salt() int { return int(m.at)<<20 ^ int(m.host) }

// findKnown notes of each attack whether the address of its first message is
// one that any memory ought to have pinned.
func (w *World) findKnown() {
	type life struct {
		days  int
		last  int64
		clear bool
	}
	lives := make([]life, len(w.hosts))
	first := make([]bool, len(w.attacks))
	for n := range w.mail {
		m := &w.mail[n]
		if m.bits&hostile != 0 {
			continue
		}
		is := w.session(m, m.salt(), m.host, m.at)
		l := &lives[m.host]
		if is.attack >= 0 {
			a := &w.attacks[is.attack]
			known := l.days >= 5 && !l.clear
			if a.peer < 0 && !known && !first[is.attack] {
				a.from = m.at + 1 // let it begin with somebody who is known
				continue
			}
			if !first[is.attack] {
				first[is.attack], a.known = true, known
			}
			l.clear = true
			continue
		}
		if m.bits&viaBare != 0 || unseen(m.at) {
			continue
		}
		if is.level == tlsstate.Plaintext {
			l.clear = true
		} else if d := m.at/day + 1; d != l.last {
			l.days, l.last = l.days+1, d
		}
	}
}

// unseen reports whether the moment is in a gap of ours: mail flows unjudged.
func unseen(at int64) bool {
	return at >= gapFrom && at < gapTo || at >= gap2From && at < gap2To
}
