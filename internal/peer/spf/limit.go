package spf

import (
	"net/netip"

	"golang.org/x/time/rate"
)

// bucket is what a client network has for claims that are known, and for those
// that aren't: a bad neighbour uses up nobody's proofs.
type bucket struct {
	network netip.Prefix
	known   bool
}

// allow reports whether one more question may go out.
func (p *Prover) allow(network netip.Prefix, known bool) bool {
	key := bucket{network, known}
	b, ok := p.buckets.Get(key)
	if !ok {
		b = rate.NewLimiter(rate.Limit(p.o.NetworkRate), p.o.NetworkBurst)
		if other, ok, _ := p.buckets.PeekOrAdd(key, b); ok { // somebody was quicker
			b = other
		}
	}
	return b.Allow() && (known || p.unknown.Allow())
}
