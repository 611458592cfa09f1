package spf

import (
	"net/netip"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// limiter says how many questions may go out.
type limiter struct {
	o       Limits
	unknown *rate.Limiter

	mu      sync.Mutex
	buckets *simplelru.LRU[bucket, *rate.Limiter]
}

// bucket is what a client network has for claims that are known, and for those
// that aren't: a bad neighbour uses up nobody's proofs.
type bucket struct {
	network netip.Prefix
	known   bool
}

func newLimiter(o Limits) *limiter {
	buckets, err := simplelru.NewLRU[bucket, *rate.Limiter](o.Networks, nil)
	if err != nil {
		panic(err) // Networks must be more than 0
	}
	return &limiter{o: o, unknown: rate.NewLimiter(rate.Limit(o.UnknownRate), o.UnknownBurst), buckets: buckets}
}

func (l *limiter) allow(network netip.Prefix, known bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := bucket{network, known}
	b, ok := l.buckets.Get(key)
	if !ok {
		b = rate.NewLimiter(rate.Limit(l.o.NetworkRate), l.o.NetworkBurst)
		l.buckets.Add(key, b)
	}
	return b.Allow() && (known || l.unknown.Allow())
}

func (l *limiter) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buckets.Len()
}
