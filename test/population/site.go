package population

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

// Site is one row of the table of sites: a mail server of some size, and who
// writes to it.
type Site struct {
	Name string
	// Days is how long it is watched, Worlds how many are averaged.
	Days, Worlds int
	// Peers and Rate say how many more peers, and how much more mail of each,
	// there are than at a family's server.
	Peers, Rate float64
}

// Sites are the sites that are tried.
func Sites() []Site {
	return []Site{
		{Name: "family", Days: 120, Worlds: 10, Peers: 1, Rate: 1},
		{Name: "company", Days: 90, Worlds: 3, Peers: 10, Rate: 3.3},
		{Name: "university", Days: 32, Worlds: 1, Peers: 70, Rate: 19},
	}
}

// pool is one row of the table of providers: addresses, networks and messages a
// day at a family's server. Each message comes from any of the addresses. Six
// states that a third of them are of IPv6.
type pool struct {
	domain          string
	addresses, nets int
	perDay          float64
	six             bool
}

var pools = []pool{
	{"mailgoogle.example", 1500, 40, 22, true},
	{"outlookers.example", 4000, 120, 19, true},
	{"cloudses.example", 3000, 100, 9, false},
	{"yahooligans.example", 800, 40, 6, false},
	{"sendgrids.example", 2500, 60, 6, false},
	{"icloudy.example", 200, 12, 4, false},
	{"mailchimps.example", 600, 20, 4, false},
	{"freemail.example", 40, 4, 5, true},
}

// habit is one row of the table of the other peers.
type habit struct {
	name   string
	peers  int
	perDay float64
	// hosts are in so many networks.
	hosts, nets int
	// clear is the share of messages in clear, bare the share of peers that
	// never use TLS.
	clear, bare float64
	// hoster puts them under the names and into the networks of hosters, six
	// into one /64 of theirs.
	hoster, six bool
	// unnamed have no name that DNS confirms.
	unnamed bool
	// corner has one more host that never uses TLS, in the same network.
	corner bool
	// broken is how many days lie between two spells of hours without TLS.
	broken float64
	// bots is how many messages a day bots send from behind its address.
	bots float64
	// off turns TLS off for good, remembers is in clear for days after an
	// outage of ours.
	off, remembers bool
	// small is a peer with one address that always encrypts.
	small bool
}

var habits = []habit{
	{name: "small server", peers: 200, perDay: 0.15, hosts: 1, nets: 1, small: true},
	{name: "busier small server", peers: 20, perDay: 0.6, hosts: 1, nets: 1, small: true},
	{name: "company", peers: 20, perDay: 0.5, hosts: 4, nets: 2},
	{name: "no name", peers: 15, perDay: 0.1, hosts: 1, nets: 1, unnamed: true, small: true},
	{name: "monthly", peers: 60, perDay: 0.04, hosts: 1, nets: 1},
	{name: "never TLS", peers: 15, perDay: 0.15, hosts: 1, nets: 1, bare: 1},
	{name: "hoster's customer", peers: 60, perDay: 0.08, hosts: 1, nets: 1, bare: 0.25, hoster: true},
	{name: "hoster's customer in one /64", peers: 12, perDay: 0.08, hosts: 1, nets: 1, bare: 0.3, hoster: true, six: true},
	{name: "newsletter host without TLS beside good ones", peers: 4, perDay: 0.4, hosts: 2, nets: 1, corner: true},
	{name: "one message in five in clear", peers: 3, perDay: 0.2, hosts: 1, nets: 1, clear: 0.2},
	{name: "one message in a hundred in clear", peers: 4, perDay: 0.3, hosts: 2, nets: 1, clear: 0.01},
	{name: "TLS broken for hours", peers: 6, perDay: 0.5, hosts: 1, nets: 1, broken: 40},
	{name: "bots behind a server's address", peers: 2, perDay: 0.4, hosts: 1, nets: 1, bots: 0.01},
	{name: "turns TLS off for good", peers: 1, perDay: 0.15, hosts: 1, nets: 1, off: true},
	{name: "remembers our outage", peers: 5, perDay: 0.3, hosts: 1, nets: 1, remembers: true},
}

// The outage of ours at a site, and how long some remember it.
const (
	siteOutage   = 25*day + 9*hour
	siteOutageTo = siteOutage + 12*hour
	rememberedTo = siteOutageTo + 3*day
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

// SiteFigures are what a rule did at a site.
type SiteFigures struct {
	Site string
	Rule string
	// Messages are legitimate; Delayed of them were wrongly delayed, Lost lost,
	// By of them those of each habit.
	Messages, Delayed, Lost int
	By                      map[string]int
	OutageDomains           int
	// Full are shares of 100 that would have led to the full action, had they
	// been stripped.
	Day30, Day60, Providers, NoDNS, Small, Moved share
}

type share struct{ hits, of int }

func (s *share) add(hit bool) { s.of++; s.hits += one(hit) }

// Percent returns the share, of 100.
func (s share) Percent() float64 { return percent(s.hits, s.of) }

// siteWorld is one site on its way.
type siteWorld struct {
	site      *Site
	rng       *rand.Rand
	residents []*resident
	rule      judge
	queue     waiting
	next4     uint32
	hosters   []uint32
	tlsDays   map[string]*known
	delayed   map[string]bool
	f         *SiteFigures
}

// known is what a site has seen of an address: on how many days TLS.
type known struct {
	days int
	last int64
}

// letter is one message that is tried again if it must.
type letter struct {
	at, first int64
	from      *resident
	host      int
	level     tlsstate.Level
	tries     int
	junk, own bool // own: while our own TLS was broken
}

type waiting []*letter

func (q waiting) Len() int           { return len(q) }
func (q waiting) Less(i, j int) bool { return q[i].at < q[j].at }
func (q waiting) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push and Pop are for package container/heap.
func (q *waiting) Push(x any) { *q = append(*q, x.(*letter)) }

// Pop removes the last one.
func (q *waiting) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// TrySite runs a rule at a site.
func TrySite(site *Site, rule *Rule, seed uint64) (*SiteFigures, error) {
	f := &SiteFigures{Site: site.Name, Rule: rule.Name, By: map[string]int{}}
	for n := range site.Worlds {
		w := &siteWorld{
			site: site, rng: rand.New(rand.NewPCG(seed, uint64(n))), next4: 30 << 16, f: f,
			tlsDays: map[string]*known{}, delayed: map[string]bool{},
		}
		if rule.Other != nil {
			w.rule = rule.Other()
		} else {
			o, err := newOurs(rule)
			if err != nil {
				return nil, err
			}
			o.from, o.to = siteOutage, siteOutageTo
			w.rule = o
		}
		w.populate()
		w.live()
		f.OutageDomains += len(w.delayed)
	}
	f.OutageDomains = (f.OutageDomains + site.Worlds - 1) / site.Worlds
	return f, nil
}

func (w *siteWorld) network4() uint32 { w.next4++; return w.next4 }

// hosters is how many there are. Each has hosterNets networks.
const hosters = 6

func (w *siteWorld) hosterNets() int { return 5 * int(math.Ceil(w.site.Peers)) }

func (w *siteWorld) populate() {
	for range hosters * w.hosterNets() {
		w.hosters = append(w.hosters, w.network4())
	}
	for i := range pools {
		p := &pools[i]
		r := &resident{pool: p, provider: true, domain: p.domain, rate: p.perDay * w.site.Peers * w.site.Rate, hosts: make([]peer.Peer, p.addresses), phase: float64(w.next4)}
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
			Addr: fmt.Sprintf("%d.%d.%d.%d", net>>16&0xff, net>>8&0xff, net&0xff, 1+w.rng.IntN(250)),
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
		Addr: fmt.Sprintf("%d.%d.%d.%d", net>>16&0xff, net>>8&0xff, net&0xff, 1+host/r.pool.nets),
		Name: fmt.Sprintf("out-%c%d.%s", 'a'+host%26, host*7, r.domain), Resolve: "OK", DaemonPort: listenerPort,
	}
	if r.pool.six && host%3 == 0 {
		c.Addr = fmt.Sprintf("2a01:%x:%x::%x", uint32(r.phase)&0xffff, host%max(r.pool.nets/8, 1), 0x100+host)
	}
	*p = identify(c)
	return p
}

// live sends all the mail, day by day.
func (w *siteWorld) live() {
	for d := range w.site.Days {
		var letters []*letter
		for _, r := range w.residents {
			mean := r.rate
			if d%7 >= 5 {
				mean *= weekend
			}
			for range poisson(w.rng, mean) {
				letters = append(letters, w.write(r, int64(d)*day+clock(w.rng)))
			}
			if r.habit != nil && r.habit.bots > 0 {
				for range poisson(w.rng, r.habit.bots*w.site.Rate) {
					letters = append(letters, &letter{at: int64(d)*day + clock(w.rng), from: r, junk: true})
				}
			}
		}
		slices.SortFunc(letters, func(a, b *letter) int { return int(a.at - b.at) })
		for _, l := range letters {
			l.first = l.at
			for len(w.queue) > 0 && w.queue[0].at <= l.at {
				w.attempt(heap.Pop(&w.queue).(*letter))
			}
			w.attempt(l)
		}
	}
	for len(w.queue) > 0 {
		w.attempt(heap.Pop(&w.queue).(*letter))
	}
}

// write makes one message of a resident.
func (w *siteWorld) write(r *resident, at int64) *letter {
	l := &letter{at: at, from: r, host: w.rng.IntN(len(r.hosts)), level: tlsstate.TLS13}
	h := r.habit
	if h == nil {
		return l
	}
	switch {
	case r.bare, w.rng.Float64() < h.clear, h.corner && l.host == len(r.hosts)-1, h.off && at >= r.turn,
		h.remembers && at >= siteOutage && at < rememberedTo,
		h.broken > 0 && math.Mod(float64(at)/day/h.broken+r.phase, 1)*h.broken*24 < 6:
		l.level = tlsstate.Plaintext
	}
	return l
}

// attempt tries to deliver one message, and asks before what would become of it
// if it were stripped.
func (w *siteWorld) attempt(l *letter) {
	p := *w.peer(l.from, l.host)
	x := transaction{bits: spfPass}
	x.At, x.Peer, x.Level = epoch.Add(time.Duration(l.at)*time.Second), p, l.level
	if l.at >= siteOutage && l.at < siteOutageTo {
		x.Level, l.own = tlsstate.Plaintext, true
	} else if l.level > tlsstate.Plaintext && l.tries == 0 {
		w.probe(l, x)
	}
	a := w.rule.judge(&x)
	if l.tries == 0 && !l.junk {
		w.f.Messages++
	}
	if x.Level > tlsstate.Plaintext {
		w.note(p.Address.Name, l.at)
	}
	if a.refuses() {
		w.refused(l)
	}
}

// refused puts a message back into its sender's queue.
func (w *siteWorld) refused(l *letter) {
	if l.own {
		w.delayed[l.from.domain] = true
	}
	if l.tries == 0 && !l.own {
		w.f.Delayed++
		w.f.By[l.from.name()]++
	}
	if l.junk {
		return
	}
	wait := int64(retryMost)
	if l.tries < 6 {
		wait = min(wait, retryFirst<<l.tries)
	}
	l.at, l.tries = l.at+wait, l.tries+1
	if l.at > l.first+retryFor {
		w.f.Lost++
		return
	}
	if l.from.provider {
		l.host = w.rng.IntN(len(l.from.hosts))
	}
	heap.Push(&w.queue, l)
}

func (r *resident) name() string {
	if r.provider {
		return "provider"
	}
	return r.habit.name
}

// note remembers that an address came with TLS.
func (w *siteWorld) note(address string, at int64) {
	k := w.tlsDays[address]
	if k == nil {
		k = &known{last: -1}
		w.tlsDays[address] = k
	}
	if d := at / day; d != k.last {
		k.days, k.last = k.days+1, d
	}
}

// probe asks what the rule would do if the message were stripped.
func (w *siteWorld) probe(l *letter, x transaction) {
	d := l.at / day
	small := !l.from.provider && l.from.habit.small
	if !l.from.provider && l.from.habit.clear > 0 || l.at < 10*day || w.rng.Float64()*w.site.Peers*w.site.Rate > 10 {
		return
	}
	w.f.count(d, w.full(x), l.from.provider)
	if l.from.provider && d >= 30 && w.rng.IntN(8) == 0 {
		x.Peer.Domain, x.Peer.Host = tlsstate.Identity{}, ""
		x.dns = true
		w.f.NoDNS.add(w.full(x))
	}
	if k := w.tlsDays[x.Peer.Address.Name]; small && k != nil && (k.days > 5 || k.days == 5 && k.last < d) {
		w.f.Small.add(w.full(x))
		w.probeMoved(l, x)
	}
}

// probeMoved asks what the rule would do if a small server had moved to another
// network, under its name, and were stripped there.
func (w *siteWorld) probeMoved(l *letter, x transaction) {
	if l.from.habit.unnamed {
		return
	}
	x.Peer = identify(peer.Client{Addr: "203.0.113.9", Name: x.Peer.Host, Resolve: "OK", DaemonPort: listenerPort})
	w.f.Moved.add(w.full(x))
}

// full reports whether the session would be refused in clear.
func (w *siteWorld) full(x transaction) bool {
	x.Level = tlsstate.Plaintext
	x.Security = tlsstate.Security{}
	return w.rule.probe(&x)
}

// count adds a probe of some day.
func (f *SiteFigures) count(d int64, full, provider bool) {
	if d >= 28 && d < 32 {
		f.Day30.add(full)
	}
	if d >= 58 && d < 62 {
		f.Day60.add(full)
	}
	if provider && d >= 30 {
		f.Providers.add(full)
	}
}
