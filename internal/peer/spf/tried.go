package spf

import (
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// How long a claim that was not proven is not tried again: an hour if SPF did
// not pass, a minute if DNS did not answer.
const (
	triedFor  = time.Hour
	failedFor = time.Minute
)

// maxTried is how many such claims are kept in mind.
const maxTried = 20_000

// tried keeps in mind until when claims that were not proven are not tried
// again, so that a sender without SPF costs nothing with each message.
type tried struct {
	claims *lru.Cache[attempt, time.Time]
}

// attempt is a claim of one address: that a neighbour's fails proves nothing about
// others.
type attempt struct {
	ip   netip.Addr
	name string
}

func (c *Claim) attempt() attempt { return attempt{c.ip, c.Identity.Name} }

func newTried() *tried {
	claims, err := lru.New[attempt, time.Time](maxTried)
	if err != nil {
		panic(err) // only for a size that isn't one
	}
	return &tried{claims}
}

func (t *tried) note(c *Claim, r Result) {
	key := c.attempt()
	switch r {
	case Proven:
		t.claims.Remove(key)
	case NotPassed, Wide:
		t.claims.Add(key, time.Now().Add(triedFor))
	default:
		t.claims.Add(key, time.Now().Add(failedFor))
	}
}

func (t *tried) has(c *Claim) bool {
	until, ok := t.claims.Get(c.attempt())
	return ok && time.Now().Before(until)
}

// Tried reports whether the claim was tried of late, from the same address, and
// not proven: then it isn't worth an offer to [Prover.Learn], nor keeping a
// message open for it. It is cheap.
func (p *Prover) Tried(c Claim) bool { return p.tried.has(&c) }
