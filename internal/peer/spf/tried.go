package spf

import (
	"net/netip"
	"time"
)

// How long a claim that was not proven is not tried again, so that a sender
// without SPF costs nothing with each message: an hour if SPF did not pass, a
// minute if DNS did not answer.
const (
	triedFor  = time.Hour
	failedFor = time.Minute
)

// maxTried is how many such claims are kept in mind.
const maxTried = 20_000

// attempt is a claim of one address: that a neighbour's fails proves nothing about
// others.
type attempt struct {
	ip   netip.Addr
	name string
}

func (c *Claim) attempt() attempt { return attempt{c.ip, c.Identity.Name} }

// note keeps in mind until when a claim is not tried again.
func (p *Prover) note(c *Claim, r Result) {
	switch r {
	case Proven:
		p.tried.Remove(c.attempt())
	case NotPassed, Wide:
		p.tried.Add(c.attempt(), time.Now().Add(triedFor))
	default:
		p.tried.Add(c.attempt(), time.Now().Add(failedFor))
	}
}

// Tried reports whether the claim was tried of late, from the same address, and
// not proven: then it isn't worth an offer to [Prover.Learn], nor keeping a
// message open for it. It is cheap.
func (p *Prover) Tried(c Claim) bool {
	until, ok := p.tried.Get(c.attempt())
	return ok && time.Now().Before(until)
}
