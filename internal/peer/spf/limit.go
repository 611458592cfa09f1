package spf

import (
	"net/netip"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// limiter says how many questions may go out.
type limiter struct {
	o       Limits
	unknown *rate.Limiter
	buckets *lru.Cache[bucket, *rate.Limiter]
}

// bucket is what a client network has for claims that are known, and for those
// that aren't: a bad neighbour uses up nobody's proofs.
type bucket struct {
	network netip.Prefix
	known   bool
}

func newLimiter(o Limits) *limiter {
	buckets, err := lru.New[bucket, *rate.Limiter](o.Networks)
	if err != nil {
		panic(err) // Networks must be more than 0
	}
	return &limiter{o: o, unknown: rate.NewLimiter(rate.Limit(o.UnknownRate), o.UnknownBurst), buckets: buckets}
}

func (l *limiter) allow(network netip.Prefix, known bool) bool {
	key := bucket{network, known}
	b, ok := l.buckets.Get(key)
	if !ok {
		b = rate.NewLimiter(rate.Limit(l.o.NetworkRate), l.o.NetworkBurst)
		if other, ok, _ := l.buckets.PeekOrAdd(key, b); ok { // somebody was quicker
			b = other
		}
	}
	return b.Allow() && (known || l.unknown.Allow())
}
