package resolver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Errors of [Resolver.Lookup].
var (
	// ErrNotFound: there is no such name, or it has nothing of that type.
	ErrNotFound = errors.New("not found")
	// ErrFailed: no answer, or one that can't be used. Asking later may help.
	ErrFailed = errors.New("no answer from DNS")
	// ErrRefused: the network would have to be asked, and the caller's allow
	// refused.
	ErrRefused = errors.New("too many questions")
)

// Options bound what a [Resolver] may take. All must be more than 0.
type Options struct {
	// Timeout is how long one question may take.
	Timeout time.Duration
	// Entries and Bytes are how much is kept; Bytes is an estimate.
	Entries, Bytes int
	// Flights is how many questions may be under way at once; one more fails.
	Flights int
}

// DefaultOptions returns what suits a mail server: 2 seconds, 20,000 entries, 8
// MiB, 128 questions.
func DefaultOptions() Options {
	return Options{Timeout: 2 * time.Second, Entries: 20_000, Bytes: 8 << 20, Flights: 128}
}

// Stats are what a [Resolver] did and holds.
type Stats struct {
	// Questions were put to the network; of them Failures had no answer.
	Questions, Failures uint64
	// Hits were answered from the cache.
	Hits uint64
	// Entries and Bytes are what the cache holds, Flights what is under way.
	Entries, Bytes, Flights int
}

// Resolver remembers answers. Its methods may be called at the same time.
type Resolver struct {
	o        Options
	exchange Exchange
	ctx      context.Context
	cancel   context.CancelFunc
	flying   sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	cache   *simplelru.LRU[Question, entry]
	flights map[Question]*flight
	stats   Stats
}

// entry is an answer in the cache.
type entry struct {
	Answer
	err     error
	expires time.Time
	size    int
}

// flight is a question under way; entry is set once done is closed.
type flight struct {
	entry
	done chan struct{}
}

// overhead is about what an entry takes beside its texts, in bytes.
const overhead = 300

// New returns a resolver that asks by the given Exchange. Close it.
func New(o Options, e Exchange) *Resolver {
	r := &Resolver{o: o, exchange: e, flights: make(map[Question]*flight)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	var err error
	r.cache, err = simplelru.NewLRU(o.Entries, func(_ Question, e entry) { r.stats.Bytes -= e.size })
	if err != nil {
		panic(err) // Entries must be more than 0
	}
	return r
}

// Close ends the questions under way and waits for them. Lookups fail from
// then on.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.flying.Wait()
}

// Stats returns the figures of now.
func (r *Resolver) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Entries, s.Flights = r.cache.Len(), len(r.flights)
	return s
}

// Lookup answers a question from the cache, or asks the network if allow agrees.
// allow is called at most once and must not block. The same question of several
// callers is asked once; a caller whose ctx ends takes the answer from no other.
// The error wraps [ErrNotFound], [ErrFailed] or [ErrRefused].
func (r *Resolver) Lookup(ctx context.Context, q Question, allow func() bool) (Answer, error) {
	e, f, err := r.find(q, allow)
	if err != nil {
		return Answer{}, err
	}
	if f == nil {
		return e.Answer, e.err
	}
	select {
	case <-f.done:
		return f.Answer, f.err
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("%w: %w", ErrFailed, ctx.Err())
	}
}

// find returns what is remembered or the flight to wait for.
func (r *Resolver) find(q Question, allow func() bool) (entry, *flight, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.cache.Get(q); ok && time.Now().Before(e.expires) {
		r.stats.Hits++
		return e, nil, nil
	}
	if f, ok := r.flights[q]; ok {
		return entry{}, f, nil
	}
	switch {
	case r.closed || len(r.flights) >= r.o.Flights:
		return entry{}, nil, fmt.Errorf("%w: busy", ErrFailed)
	case !allow():
		return entry{}, nil, ErrRefused
	}
	f := &flight{done: make(chan struct{})}
	r.flights[q] = f
	r.stats.Questions++
	r.flying.Go(func() { r.fly(q, f) })
	return entry{}, f, nil
}

func (r *Resolver) fly(q Question, f *flight) {
	defer close(f.done)
	ctx, cancel := context.WithTimeout(r.ctx, r.o.Timeout)
	defer cancel()
	a, ttl, err := r.ask(ctx, q)
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrFailed) {
		err = fmt.Errorf("%w: %w", ErrFailed, err)
	}
	f.Answer, f.err = a, err
	f.expires, f.size = time.Now().Add(ttl), overhead+len(q.Name)+a.size()

	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.flights, q)
	if errors.Is(err, ErrFailed) {
		r.stats.Failures++
	}
	r.keep(q, f.entry, ttl)
}

// ask is exchange, and a panic in it is a failure: what comes from the network
// must not stop the daemon.
func (r *Resolver) ask(ctx context.Context, q Question) (a Answer, ttl time.Duration, err error) {
	defer func() {
		if p := recover(); p != nil {
			a, ttl, err = Answer{}, failureTTL, fmt.Errorf("%w: panic: %v", ErrFailed, p)
		}
	}()
	return r.exchange(ctx, q)
}

// keep puts an answer into the cache; the one that was asked for longest ago
// goes when it is full.
func (r *Resolver) keep(q Question, e entry, ttl time.Duration) {
	if r.cache.Remove(q); ttl <= 0 || e.size > r.o.Bytes {
		return
	}
	r.stats.Bytes += e.size
	r.cache.Add(q, e)
	for r.stats.Bytes > r.o.Bytes {
		r.cache.RemoveOldest()
	}
}
