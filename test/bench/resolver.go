package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sync/errgroup"

	"tlsratchet/internal/peer"
	"tlsratchet/test/bench/load"
	"tlsratchet/test/bench/measure"
	"tlsratchet/test/mtatest"
)

// The pair of resolvers.
const (
	nameAnswering = "a resolver that answers"
	nameDead      = "a dead resolver"
)

const (
	// proofWait is how long a claimant may wait. In each such time so many of
	// them come, and so many senders to be proven for whom nobody waits.
	proofWait  = 2 * time.Second
	claimants  = 8
	newSenders = 32
	// allClaims is how many there are in all: DNS remembers a failure for less
	// than the time until one comes again.
	allClaims = 32 * claimants
)

const resolverWords = `Steady peers over TLS, %d messages a session, with SPF on. Beside them, every two
seconds, %d senders come whose proof is asked for after their answer, and %d
sessions in clear claim a sender with a pin from an address never seen before:
those alone wait for DNS. One resolver proves them all; the dead one is a port
that takes questions and says nothing. %d rounds.
`

// measureResolver measures whether a resolver that never answers costs steady
// peers anything.
func (r *report) measureResolver(ctx context.Context, _ io.Writer) error {
	answering, dead, err := newResolvers()
	if err != nil {
		return err
	}
	defer answering.close()
	defer dead.close()
	peers := append(clients(peerCount), claims(allClaims)...)
	setups := []setup{{name: nameAnswering, config: answering.config()}, {name: nameDead, config: dead.config()}}
	return inFolder(os.TempDir(), func(dir string) error {
		return r.duel(ctx, dir, peers, setups, func(d *duel) (*pair, error) {
			p, err := d.resolvers(ctx, peers)
			if err == nil {
				err = asked(answering, dead)
			}
			return p, err
		})
	})
}

// resolvers measures the pair. The claims are behind the steady ones of the
// peers.
func (d *duel) resolvers(ctx context.Context, peers []client) (p *pair, err error) {
	p = &pair{title: "A resolver that is dead", base: nameAnswering}
	p.words = fmt.Sprintf(resolverWords, pairLength, newSenders, claimants, d.o.pairRounds())
	w := newWaits(len(d.all))
	stop := d.claiming(ctx, peers, w)
	p.standings, err = d.run(ctx)
	err = errors.Join(err, stop())
	answered, unanswered := w.longest(0), w.longest(1)
	p.facts = fmt.Sprintf("The longest wait of a claimant: %s with %s, %s with %s.\n",
		measure.Wait(answered.Seconds()), nameAnswering, measure.Wait(unanswered.Seconds()), nameDead)
	p.aims = []aim{p.unchanged(nameDead), claimantAim(unanswered)}
	return p, err
}

// claiming has senders to be proven come to both, until stop is called, which
// returns when the last of them has its answer.
func (d *duel) claiming(ctx context.Context, peers []client, w *waits) (stop func() error) {
	g, ctx := errgroup.WithContext(ctx)
	over := make(chan struct{})
	for i, one := range d.all {
		g.Go(func() error {
			tick := time.NewTicker(proofWait)
			defer tick.Stop()
			for n := 0; ; n++ {
				claims := peers[peerCount+n*claimants%allClaims:][:claimants]
				g.Go(func() error { return offer(ctx, one.milter.socket, peers[:newSenders], n) })
				g.Go(func() error { return w.claim(ctx, one.milter.socket, i, claims) })
				select {
				case <-over:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				case <-tick.C:
				}
			}
		})
	}
	return func() error { close(over); return g.Wait() }
}

// claimantAim holds the longest wait against what is promised. What else a
// message takes on a busy machine is not the proof's.
func claimantAim(longest time.Duration) aim {
	const rest = 100 * time.Millisecond
	return aim{"longest wait of a claimant in clear, resolver dead", "2 s, and 0.1 s for the rest", measure.Wait(longest.Seconds()), longest <= proofWait+rest}
}

// asked makes sure that both were: else nothing was measured.
func asked(all ...*nameServer) error {
	for _, n := range all {
		if n.asked.Load() == 0 {
			return fmt.Errorf("the resolver at %s was not asked anything", n.conn.LocalAddr())
		}
	}
	return nil
}

// claims returns n clients without a confirmed name, each in a network and with
// a sender of its own.
func claims(n int) (all []client) {
	for i := range n {
		all = append(all, client{from: fmt.Sprintf("news@claim%d.example", i), Client: peer.Client{
			Addr: fmt.Sprintf("198.18.%d.%d", i&255, 200+i>>8), Name: "unknown", Resolve: "TEMP",
			DaemonAddr: daemonAddr, DaemonPort: daemonPort,
		}})
	}
	return all
}

// offer has known peers send in the names of senders that are not proven yet:
// others for each n.
func offer(ctx context.Context, socket string, peers []client, n int) error {
	var all []mtatest.Message
	for i, c := range peers {
		c.from = fmt.Sprintf("news@new%d-%d.example", n, i)
		all = append(all, mail(c))
	}
	l := load.Milter{Shape: load.Shape{Sessions: 1, Length: 1, Messages: len(all)}, Socket: socket, Mails: all, Ends: 'R'}
	_, err := l.Run(ctx)
	return err
}

// waits are how long claimants waited, by contestant.
type waits struct {
	mu  sync.Mutex
	max []time.Duration
}

func newWaits(n int) *waits { return &waits{max: make([]time.Duration, n)} }

func (w *waits) longest(i int) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.max[i]
}

// claim has all claimants come to contestant i at once, and waits for their
// answers. They send to nobody, so that nothing is learned of them.
func (w *waits) claim(ctx context.Context, socket string, i int, all []client) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, one := range all {
		one.Addr = neighbour(one.Addr)
		m := inClear(mail(one))
		m.Rcpts = nil
		g.Go(func() error {
			s, err := mtatest.Dial(ctx, "unix", socket, mtatest.Options{})
			if err != nil {
				return err
			}
			began := time.Now()
			_, err = s.Message(m)
			took := time.Since(began)
			w.mu.Lock()
			w.max[i] = max(w.max[i], took)
			w.mu.Unlock()
			return errors.Join(err, s.Close())
		})
	}
	return g.Wait()
}

// neighbour is another address of the same network.
func neighbour(addr string) string { return addr[:len(addr)-1] + "9" }

// nameServer is a DNS server on a port of loopback. It counts what it is asked.
type nameServer struct {
	conn    net.PacketConn
	answers bool
	asked   atomic.Int64
	done    chan struct{}
}

// newResolvers returns one that answers and one that doesn't. Close both.
func newResolvers() (answering, dead *nameServer, err error) {
	if answering, err = newNameServer(true); err != nil {
		return nil, nil, err
	}
	if dead, err = newNameServer(false); err != nil {
		answering.close()
	}
	return answering, dead, err
}

func newNameServer(answers bool) (*nameServer, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("a port for a resolver: %w", err)
	}
	n := &nameServer{conn: conn, answers: answers, done: make(chan struct{})}
	go n.serve()
	return n, nil
}

// config has a tlsratchet ask it.
func (n *nameServer) config() string { return fmt.Sprintf("dns.resolver = %q", n.conn.LocalAddr()) }

func (n *nameServer) close() {
	_ = n.conn.Close() // ends serve
	<-n.done
}

func (n *nameServer) serve() {
	defer close(n.done)
	buf := make([]byte, 1500)
	for {
		size, from, err := n.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		n.asked.Add(1)
		if !n.answers {
			continue
		}
		if answer, err := passing(buf[:size]); err == nil {
			_, _ = n.conn.WriteTo(answer, from) // who gets none asks again
		}
	}
}

// passing answers any question with a record that passes the network that all
// senders are in: by a range as wide as may prove something.
func passing(question []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return nil, err
	}
	m.Response, m.Additionals = true, nil
	for _, q := range m.Questions {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: dnsmessage.TypeTXT, Class: q.Class, TTL: 3600},
			Body:   &dnsmessage.TXTResource{TXT: []string{"v=spf1 ip4:198.18.0.0/16 -all"}},
		})
	}
	return m.Pack()
}
