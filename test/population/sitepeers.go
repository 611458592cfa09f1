package population

import (
	"fmt"
	"math"

	"tlsratchet/internal/peer"
)

// resident is one peer of a site.
type resident struct {
	pool     *pool
	habit    *habit
	hosts    []peer.Peer // the pool's are made when they are needed
	rate     float64
	bare     bool
	turn     int64 // when TLS is turned off
	phase    float64
	domain   string
	provider bool
}

func (r *resident) name() string {
	if r.provider {
		return "provider"
	}
	return r.habit.name
}

func (w *siteWorld) network4() uint32 { w.next4++; return w.next4 }

// inNetwork returns the n-th address of a /24.
func inNetwork(net uint32, n int) string {
	return fmt.Sprintf("%d.%d.%d.%d", net>>16&0xff, net>>8&0xff, net&0xff, n)
}

// free returns the n-th address of a /24, or the next one that nobody has.
func (w *siteWorld) free(net uint32, n int) string {
	for w.taken[inNetwork(net, 1+n%250)] {
		n++
	}
	addr := inNetwork(net, 1+n%250)
	w.taken[addr] = true
	return addr
}

// hosters is how many there are. Each has hosterNets networks.
const hosters = 6

func (w *siteWorld) hosterNets() int { return 5 * int(math.Ceil(w.site.Peers)) }

func (w *siteWorld) populate() {
	for range hosters * w.hosterNets() {
		w.hosters = append(w.hosters, w.network4())
	}
	for i := range pools {
		p := &pools[i]
		r := &resident{pool: p, provider: true, domain: p.domain, rate: p.perDay * w.site.Peers * w.site.Rate, hosts: make([]peer.Peer, p.addresses), phase: float64(w.next4 + 1)}
		w.next4 += uint32(p.nets)
		w.residents = append(w.residents, r)
	}
	for i := range habits {
		h := &habits[i]
		for n := range int(math.Ceil(float64(h.peers) * w.site.Peers)) {
			w.addResident(h, n)
		}
	}
}

func (w *siteWorld) addResident(h *habit, n int) {
	r := &resident{habit: h, domain: fmt.Sprintf("p%d.example", len(w.residents)), turn: int64(20+w.rng.IntN(60)) * day, phase: w.rng.Float64()}
	r.rate = h.perDay * w.site.Rate * math.Exp(w.rng.NormFloat64()*0.7-0.25)
	r.bare = w.rng.Float64() < h.bare
	nets := make([]uint32, h.nets)
	for i := range nets {
		nets[i] = w.network4()
	}
	name := "mx%d."
	if h.hoster {
		hoster := n % hosters
		r.domain, nets[0] = fmt.Sprintf("hoster%d.example", hoster), w.hosters[hoster*w.hosterNets()+w.rng.IntN(w.hosterNets())]
		name = fmt.Sprintf("vps%d", len(w.residents)) + "-%d."
	} else if w.rng.IntN(10) < 4 && h.nets == 1 {
		nets[0] = w.hosters[w.rng.IntN(len(w.hosters))] // a name of its own, at a hoster
	}
	hosts := h.hosts
	if h.corner {
		hosts++
	}
	for i := range hosts {
		net := nets[i%len(nets)]
		c := peer.Client{
			Addr: w.free(net, w.rng.IntN(250)),
			Name: fmt.Sprintf(name, i) + r.domain, Resolve: "OK", DaemonPort: listenerPort,
		}
		if h.six {
			c.Addr = fmt.Sprintf("2a0f:%x:1:7::%x", 16+n%6, 0x1000+n)
		}
		if h.unnamed {
			c.Resolve = "FAIL"
		}
		r.hosts = append(r.hosts, identify(c))
	}
	w.residents = append(w.residents, r)
}

// peer returns the host of a resident; those of pools are made here.
func (w *siteWorld) peer(r *resident, host int) *peer.Peer {
	p := &r.hosts[host]
	if p.IP.IsValid() {
		return p
	}
	net := uint32(r.phase) + uint32(host%r.pool.nets)
	c := peer.Client{
		Addr: inNetwork(net, 1+host/r.pool.nets),
		Name: fmt.Sprintf("out-%c%d.%s", 'a'+host%26, host*7, r.domain), Resolve: "OK", DaemonPort: listenerPort,
	}
	if r.pool.six && host%3 == 0 {
		c.Addr = fmt.Sprintf("2a01:%x:%x::%x", uint32(r.phase)&0xffff, host%max(r.pool.nets/8, 1), 0x100+host)
	}
	*p = identify(c)
	return p
}
