package spf

import (
	"context"
	"errors"
	"net/netip"

	"blitiri.com.ar/go/spf"

	"tlsratchet/internal/peer/spf/resolver"
)

// Result is how a proof ended. Only [Proven] proves.
type Result uint8

// The results, from nothing to all.
const (
	// NotPassed: SPF doesn't pass the client, or there is no valid record.
	NotPassed Result = iota
	// Wide: it passes, but by a mechanism that names no hosts.
	Wide
	// NoAnswer: DNS failed, or the time was up.
	NoAnswer
	// Limited: DNS would have to be asked, and too much was asked already.
	Limited
	// Failed: a bug; it was logged.
	Failed
	// Proven: the client may speak for the domain.
	Proven

	results
)

var resultNames = [results]string{"not_passed", "wide", "no_answer", "limited", "failed", "proven"}

// String returns the result as metrics spell it.
func (r Result) String() string {
	if r < results {
		return resultNames[r]
	}
	return "unknown"
}

// check evaluates a claim, and once more for a stranger.
func (p *proof) check(ctx context.Context, c *Claim, terms uint) Result {
	result, err := p.evaluate(ctx, c, c.ip, terms)
	switch {
	case result == spf.TempError:
		return p.noAnswer()
	case result != spf.Pass:
		return NotPassed
	case errors.Is(err, spf.ErrMatchedAll), errors.Is(err, spf.ErrMatchedPTR):
		return Wide
	}
	p.again = true
	switch result, _ = p.evaluate(ctx, c, flipped(c.ip), terms); {
	case result == spf.Pass:
		return Wide
	case result == spf.TempError && !p.beyond:
		return p.noAnswer()
	}
	return Proven
}

func (p *proof) evaluate(ctx context.Context, c *Claim, ip netip.Addr, terms uint) (spf.Result, error) {
	// No HELO name: the rare record that looks at it matches nothing.
	return spf.CheckHostWithSender(ip.AsSlice(), "", c.sender(),
		spf.WithContext(ctx), spf.WithResolver(p), spf.OverrideLookupLimit(terms))
}

func (p *proof) noAnswer() Result {
	if p.refused {
		return Limited
	}
	return NoAnswer
}

func newProof(r *resolver.Resolver, ip netip.Addr, allow func() bool) *proof {
	return &proof{resolver: r, allow: allow, ip: ip, answers: make(map[resolver.Question]outcome)}
}
