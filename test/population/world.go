package population

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

// Options say which world to make.
type Options struct {
	Seed uint64
	// Peers is about how many peers there are: 5,000 in the documentation.
	Peers int
	// Days is how long it lasts: at least LeastDays, which the attacks need.
	Days int
	// Hostile puts the attackers into it that send mail of their own.
	Hostile bool
}

// LeastDays is how long a world lasts at least.
const LeastDays = 120

// epoch is the first moment of every world, a Monday.
var epoch = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// World is all that happens: peers, their mail, and the attacks on it.
type World struct {
	o       Options
	peers   []peerTruth
	hosts   []host
	mail    []message // by time
	attacks []attack
	strips  map[int][]int // by peer: indices of attacks on it
	next4   uint32        // the next IPv4 network
	next6   uint32
	shared  []uint32 // networks of hosters
}

// peerTruth is what one peer is like.
type peerTruth struct {
	kind   *Kind
	domain string
	hosts  []int // indices of the hosts
	rate   float64
	clear  bool
	turnAt int64
	// clearTo is until when it stays in clear after our outage.
	clearTo int64
	rng     *rand.Rand
}

// host is one address, as it looks to us: by name, with our DNS broken, and at
// the listener that offers no STARTTLS.
type host struct {
	peer     int
	named    peer.Peer
	nameless peer.Peer
	bare     peer.Peer
	from, to int64
	clear    bool
	corner   bool
}

// The listeners: one offers STARTTLS.
const (
	listenerAddr = "198.51.100.1"
	listenerPort = "25"
	barePort     = "2525"
)

// New makes the world. Equal options make equal worlds, and what hostile
// senders do changes nobody else.
func New(o Options) *World {
	w := &World{o: o, strips: map[int][]int{}, next4: 11 << 16}
	for range max(1, o.Peers/4) {
		w.shared = append(w.shared, w.network4())
	}
	for k := range kinds {
		n := max(1, int(math.Round(float64(kinds[k].Peers)*float64(o.Peers)/5000)))
		for range n {
			w.addPeer(&kinds[k])
		}
	}
	for i := range w.peers {
		w.sendAll(i)
	}
	w.sort()
	w.attackAll()
	if o.Hostile {
		w.addHostile()
	}
	w.sort()
	w.findKnown()
	return w
}

func (w *World) sort() {
	slices.SortStableFunc(w.mail, func(a, b message) int { return int(a.at - b.at) })
}

// end is the last moment of the world.
func (w *World) end() int64 { return int64(w.o.Days) * day }

// rngFor returns a source of its own for each thing, so that nothing depends on
// what else is in the world.
func (w *World) rngFor(what uint64, i int) *rand.Rand {
	return rand.New(rand.NewPCG(w.o.Seed^what<<32, uint64(i)))
}

func (w *World) network4() uint32 {
	w.next4++
	return w.next4
}

func (w *World) addPeer(k *Kind) int {
	i := len(w.peers)
	rng := w.rngFor(1, i)
	p := peerTruth{kind: k, domain: fmt.Sprintf("p%d.example", i), rng: rng}
	if k.Under > 0 {
		p.domain = fmt.Sprintf("cloud%d.example", i%k.Under)
	}
	p.rate = k.PerDay * math.Exp(rng.NormFloat64()*k.Spread-k.Spread*k.Spread/2)
	p.clear = rng.Float64() < k.ClearPeers
	p.turnAt = int64(attacksFrom+rng.IntN(70))*day + int64(rng.IntN(day))
	if k.Turn == Remembers {
		p.clearTo = outageTo + int64((1+4*rng.Float64())*day)
	}
	w.peers = append(w.peers, p)
	w.addHosts(i)
	return i
}

// addHosts gives a peer its addresses, with those that come later.
func (w *World) addHosts(i int) {
	p := &w.peers[i]
	k, rng := p.kind, p.rng
	nets := make([]uint32, max(k.Networks, 1))
	for n := range nets {
		nets[n] = w.network4()
		if k.Networks == 0 && rng.Float64() < 0.6 {
			nets[n] = w.shared[rng.IntN(len(w.shared))]
		}
	}
	clears := int(math.Round(k.ClearHosts * float64(k.Hosts)))
	for h := range k.Hosts {
		w.addLife(i, h, nets, h < clears)
	}
	for c := range k.Corner {
		at := w.addHost(i, fmt.Sprintf("news%d", c+1), nets[0], 0, w.end())
		w.hosts[at].clear, w.hosts[at].corner = true, true
		w.hosts[at].from = int64(rng.IntN(60)) * day
	}
	switch k.Turn {
	case Moves, MovesBare:
		w.hosts[p.hosts[0]].to = p.turnAt
		at := w.addHost(i, "mx2", w.network4(), p.turnAt, w.end())
		w.hosts[at].clear = k.Turn == MovesBare
	}
}

// addLife adds one host and, month by month, those that replace it.
func (w *World) addLife(i, h int, nets []uint32, clear bool) {
	p := &w.peers[i]
	from := int64(0)
	for g := 0; ; g++ {
		to := w.end()
		if p.kind.Renew > 0 {
			to = from + int64(p.rng.ExpFloat64()/p.kind.Renew*30*day)
		}
		at := w.addHost(i, fmt.Sprintf("mx%dg%d", h+1, g), nets[h%len(nets)], from, to)
		w.hosts[at].clear = clear
		if to >= w.end() {
			return
		}
		from = to
	}
}

// addHost adds a host in a network, or two of them for a dual-stack peer.
func (w *World) addHost(i int, label string, net uint32, from, to int64) int {
	p := &w.peers[i]
	at := w.addAddress(i, label, inNetwork(net, 1+len(w.hosts)%250), from, to)
	if p.kind.Dual {
		w.next6++
		w.addAddress(i, label, fmt.Sprintf("2a0f:%x:%x::19", w.next6>>16, w.next6&0xffff), from, to)
	}
	return at
}

func (w *World) addAddress(i int, label, addr string, from, to int64) int {
	p := &w.peers[i]
	c := peer.Client{Addr: addr, Name: label + "." + p.domain, Resolve: "OK", DaemonAddr: listenerAddr, DaemonPort: listenerPort}
	switch p.kind.Naming {
	case Unconfirmed:
		c.Resolve = "FAIL"
	case Embedded:
		c.Name = fmt.Sprintf("dsl-%s.isp%d.example", dashed(addr), i%9)
	}
	if p.kind.Under > 0 {
		c.Name = fmt.Sprintf("customer%d.%s", i, p.domain)
	}
	h := host{peer: i, from: from, to: to, named: identify(c)}
	c.DaemonPort = barePort
	h.bare = identify(c)
	c.Name, c.Resolve, c.DaemonPort = "unknown", "TEMP", listenerPort
	h.nameless = identify(c)
	w.hosts = append(w.hosts, h)
	p.hosts = append(p.hosts, len(w.hosts)-1)
	return len(w.hosts) - 1
}

func dashed(addr string) string {
	b := []byte(addr)
	for i := range b {
		if b[i] == '.' {
			b[i] = '-'
		}
	}
	return string(b)
}

// identify panics on what no generator of ours makes.
func identify(c peer.Client) peer.Peer {
	p, err := peer.Identify(c)
	if err != nil {
		panic(fmt.Sprintf("population: %v", err))
	}
	return p
}

// bits of a message.
const (
	viaBare   = 1 << iota // came to the listener without STARTTLS
	spfPass               // SPF passes for its sender
	noMessage             // a session that delivers nothing
	hostile               // an attacker's own
	junk
)

// message is one message, or one session of an attacker's without any.
type message struct {
	at     int64
	host   int32
	sender int32 // whose domain the MAIL FROM is of
	level  tlsstate.Level
	bits   uint8
}
