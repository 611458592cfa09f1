package spf

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/peer"
	"tlsratchet/internal/peer/spf/resolver"
)

// Options are the numbers of a [Prover]. All must be more than 0.
type Options struct {
	// Timeout is how long one proof may take.
	Timeout time.Duration
	// Terms is how many terms of a record, includes counted in, may ask DNS. RFC
	// 7208 section 4.6.4 says 10.
	Terms uint
	// Workers prove what is to be learned, Queue is how much may wait for
	// them; PerNetwork is how much of that one client network may have.
	Workers, Queue, PerNetwork int

	// What follows is how much may be asked of DNS: questions to the network, not
	// those that the cache answers. Rates are per second.

	// NetworkRate and NetworkBurst are for one client network (/24, /48), for
	// claims that are known, and again for those that aren't; Networks is how
	// many networks are kept in mind.
	NetworkRate            float64
	NetworkBurst, Networks int
	// UnknownRate and UnknownBurst are for all claims together that aren't
	// known.
	UnknownRate  float64
	UnknownBurst int
}

// DefaultOptions returns what suits a mail server of a million messages a day.
func DefaultOptions() Options {
	return Options{
		Timeout: 2 * time.Second, Terms: 10,
		Workers: 16, Queue: 1024, PerNetwork: 64,
		NetworkRate: 5, NetworkBurst: maxQuestions, Networks: 10_000,
		UnknownRate: 50, UnknownBurst: 200,
	}
}

// Stats are what a [Prover] did and holds.
type Stats struct {
	// Results counts the proofs by how they ended; index by [Result].
	Results [results]uint64
	// Dropped were not learned because too much waited already. The peer's
	// next message makes them again.
	Dropped uint64
	// Waiting is what waits or is being proven, Networks the client networks
	// whose limits are kept in mind.
	Waiting, Networks int
}

// Prover proves claims. Its methods may be called at the same time.
type Prover struct {
	o        Options
	resolver *resolver.Resolver
	log      *slog.Logger
	unknown  *rate.Limiter
	buckets  *lru.Cache[bucket, *rate.Limiter]
	tried    *lru.Cache[attempt, time.Time] // until when
	results  [results]atomic.Uint64
	dropped  atomic.Uint64
	panics   clean.Panics

	ctx     context.Context
	cancel  context.CancelFunc
	workers sync.WaitGroup
	tasks   chan task

	mu      sync.Mutex // guards what follows, and sends on tasks
	closed  bool
	waiting map[attempt]struct{}
	shares  map[netip.Prefix]int
}

// New returns a prover that asks the resolver, and starts its workers. Close it
// before the resolver.
func New(r *resolver.Resolver, o Options, log *slog.Logger) *Prover {
	buckets, _ := lru.New[bucket, *rate.Limiter](o.Networks) // it fails for no size alone
	tried, _ := lru.New[attempt, time.Time](maxTried)
	p := &Prover{
		o: o, resolver: r, log: log,
		unknown: rate.NewLimiter(rate.Limit(o.UnknownRate), o.UnknownBurst),
		buckets: buckets, tried: tried,
		tasks:   make(chan task, o.Queue),
		waiting: make(map[attempt]struct{}),
		shares:  make(map[netip.Prefix]int),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	for range o.Workers {
		p.workers.Go(p.work)
	}
	return p
}

// Prove proves a claim while its session waits: for Options.Timeout at most, or
// until ctx ends. It is for the session in clear whose claim has a pin; see
// [Prover.Learn] for all others.
func (p *Prover) Prove(ctx context.Context, c Claim) (result Result) {
	defer func() {
		if r := recover(); r != nil {
			result = Failed
			p.panics.Log(p.log, "sender not proven", r)
		}
		p.results[result].Add(1)
		p.note(&c, result)
	}()
	if c.Identity.IsZero() {
		return NotPassed
	}
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	net := peer.Network(c.ip)
	return newProof(p.resolver, c.ip, func() bool { return p.allow(net, c.Known) }).check(ctx, &c, p.o.Terms)
}

// Stats returns the figures of now.
func (p *Prover) Stats() Stats {
	s := Stats{Dropped: p.dropped.Load(), Networks: p.buckets.Len()}
	for i := range s.Results {
		s.Results[i] = p.results[i].Load()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Waiting = len(p.waiting)
	return s
}

// Close stops the workers and waits for them. What still waits is not learned.
func (p *Prover) Close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.tasks)
	}
	p.mu.Unlock()
	p.cancel()
	p.workers.Wait()
}
