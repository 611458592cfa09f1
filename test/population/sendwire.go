package population

import (
	"fmt"

	"tlsratchet/tlsstate"
)

// offer is what a connection to one host of a destination meets.
type offer struct {
	down    bool
	level   tlsstate.Level // Plaintext: STARTTLS is not offered
	broken  bool           // it is, and the handshake fails
	touched int            // the attack that is on it, or -1
}

// mx is how many hosts the destination has at least.
func (p *place) mx() int { return max(1, p.kind.MX) }

// host returns the name and an address of a host at a time.
func (p *place) host(mx int, at int64) (name, addr string) {
	domain, network := p.domain, p.network
	if p.kind.Under > 0 {
		domain = fmt.Sprintf("hoster%d.example", p.network)
	}
	if (p.kind.Turn == Moves || p.kind.Turn == MovesBare) && at >= p.turnAt {
		domain, network = "elsewhere.example", 1<<15
	}
	return fmt.Sprintf("mx%d.%s", mx+1, domain), fmt.Sprintf("%d.%d.0.%d", 20+network>>8, network&0xff, mx+1)
}

// meet returns what a connection meets. u, from 0 to 1, chooses the node.
func (w *SendWorld) meet(i, mx int, at int64, u float64) offer {
	p := &w.places[i]
	is := offer{level: p.level(mx, at, u), touched: -1}
	for _, s := range p.troubles {
		if mx > 0 || !s.has(at) {
			continue
		}
		switch p.kind.Trouble {
		case Down:
			is.down = true
		case Handshakes:
			is.broken = true
		case NoOffer:
			is.level = tlsstate.Plaintext
		}
	}
	if walled(at) {
		is.level, is.broken = tlsstate.Plaintext, false
	}
	for _, all := range [][]int{w.on[i], w.on[-1]} {
		for _, a := range all {
			w.taps[a].befall(&is, a, mx, at, u)
		}
	}
	return is
}

// level is what a node of a host offers of itself.
func (p *place) level(mx int, at int64, u float64) tlsstate.Level {
	k := p.kind
	nodes := max(1, k.Nodes)
	bare := mx >= p.mx()-k.BareMX || int(u*float64(nodes)) >= nodes-k.BareNode || u < k.Clear
	switch k.Turn {
	case Upgrades:
		bare = at < p.turnAt
	case TurnsOff, MovesBare:
		bare = at >= p.turnAt
	}
	if bare {
		return tlsstate.Plaintext
	}
	return k.Level
}

// befall makes of a connection what the attack leaves of it.
func (t *tap) befall(is *offer, index, mx int, at int64, u float64) {
	if !t.has(at) || is.down || is.level == tlsstate.Plaintext ||
		t.row.Means == StripFirst && mx > 0 || t.row.Share < 1 && chance(uint64(u*(1<<40)), uint64(index)) >= t.row.Share {
		return
	}
	is.touched = index
	switch t.row.Means {
	case Disturb:
		is.broken = true
	case Weaken:
		is.level = tlsstate.Weak
	default:
		is.level = tlsstate.Plaintext
	}
}
