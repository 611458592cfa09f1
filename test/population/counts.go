package population

import (
	"math"
	"slices"

	"tlsratchet/tlsstate"
)

// counts are what a run finds.
type counts struct {
	world *World
	alarms
	attacks   []result
	stripped  int // sessions that an attack lowered,
	leaked    int // and those of them that were let in
	delayedIn map[string]bool
	protected []int64 // by peer: seconds from its first message on; -1 for never
	met       []int64
	probes    int
	covered   int
	pinned    int
}

// result is how one attack went.
type result struct {
	messages int // sessions it lowered
	caught   int // the number of the first one that was caught, from 1; 0: none
}

func newCounts(w *World) counts {
	c := counts{
		world: w, alarms: newAlarms(), attacks: make([]result, len(w.attacks)),
		delayedIn: map[string]bool{}, protected: make([]int64, len(w.peers)), met: make([]int64, len(w.peers)),
	}
	for i := range c.met {
		c.met[i], c.protected[i] = -1, -1
	}
	return c
}

// count takes the answer to one session into account.
func (c *counts) count(m *message, t try, is *happens, a *answer) {
	from := &c.world.hosts[t.host]
	if a.downgrade {
		c.alarm(&downgrade{
			at: t.at, kind: c.world.peers[from.peer].kind, answer: a, name: from.name(is.dns),
			wrong: is.attack < 0 && m.bits&hostile == 0, outage: inOutage(t.at),
		})
	}
	if is.attack >= 0 {
		r := &c.attacks[is.attack]
		r.messages++
		c.stripped++
		if !a.refuses() {
			c.leaked++
		}
		if a.full && r.caught == 0 {
			r.caught = r.messages
		}
		return
	}
	if a.refuses() && m.bits&junk == 0 && inOutage(t.at) {
		c.delayedIn[from.name(false).Name] = true
	}
}

func inOutage(at int64) bool { return at >= outageFrom && at < outageTo }

// name is whom people call it: its domain, or else its address.
func (h *host) name(dnsBroken bool) tlsstate.Identity {
	if dnsBroken || h.named.Domain.IsZero() {
		return h.named.Address
	}
	return h.named.Domain
}

// protection asks what would become of the session if it were stripped now.
func (r *run) protection(m *message, t try, x transaction) {
	i := r.w.hosts[t.host].peer
	if !r.w.peers[i].kind.Always || m.bits&viaBare != 0 || t.n > 0 {
		return
	}
	if r.met[i] < 0 {
		r.met[i] = t.at
	}
	sample := t.at > attacksFrom*day && m.salt()%8 == 0
	if r.protected[i] >= 0 && !sample {
		return
	}
	x.Level = tlsstate.Plaintext
	safe := r.rule.probe(&x)
	if safe && r.protected[i] < 0 {
		r.protected[i] = t.at - r.met[i]
	}
	if sample {
		r.probes++
		if safe {
			r.covered++
		}
	}
}

// probeAll counts, at the end, the peers that would send a message in clear
// and would have it refused.
func (r *run) probeAll() {
	at := r.w.end() - hour
	for i := range r.w.peers {
		p := &r.w.peers[i]
		if p.kind == &attackerKind || p.kind.Junk {
			continue
		}
		clear := p.clear || p.kind.Clear > 0 || p.kind.Turn == TurnsOff
		if slices.ContainsFunc(p.hosts, func(h int) bool {
			from := &r.w.hosts[h]
			if !clear && !from.clear || from.from > at || from.to <= at {
				return false
			}
			m := message{sender: int32(i), bits: spfPass}
			x := r.transaction(&m, int32(h), at, happens{level: tlsstate.Plaintext})
			return r.rule.probe(&x)
		}) {
			r.pinned++
		}
	}
}

// quantile returns the value below which the share q of the values is.
func quantile(values []int64, q float64) int64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(len(values)-1, int(math.Floor(q*float64(len(values)))))]
}
