package spf

import "tlsratchet/internal/peer"

// task is a claim to be proven, and what to do then.
type task struct {
	claim Claim
	learn func()
}

// Learn has a worker prove the claim, and call learn if it is proven, some time
// after the session got its answer. It never blocks. It returns false if too
// much waits already: that is counted, and lost until the peer's next message.
// A claim of an address that waits already is not added again, which loses nothing: it
// returns true. Call it only where learn would change the memory and [Prover.Tried]
// returns false: then a steady sender, or one without SPF, costs no proof.
func (p *Prover) Learn(c Claim, learn func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.waiting[c.attempt()]; ok {
		return true
	}
	net := peer.Network(c.ip)
	if p.closed || c.Identity.IsZero() || p.shares[net] >= p.o.PerNetwork || len(p.tasks) == cap(p.tasks) {
		p.dropped.Add(1)
		return false
	}
	p.waiting[c.attempt()] = struct{}{}
	p.shares[net]++
	p.tasks <- task{c, learn} // has room: all senders hold the lock
	return true
}

func (p *Prover) work() {
	for t := range p.tasks {
		if p.ctx.Err() == nil && p.Prove(p.ctx, t.claim) == Proven {
			p.call(t.learn)
		}
		p.forget(&t.claim)
	}
}

// call is learn(), and what goes wrong in it stops no worker.
func (p *Prover) call(learn func()) {
	defer func() {
		if r := recover(); r != nil {
			p.panics.Log(p.log, "sender not learned", r)
		}
	}()
	learn()
}

func (p *Prover) forget(c *Claim) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, c.attempt())
	net := peer.Network(c.ip)
	if p.shares[net]--; p.shares[net] == 0 {
		delete(p.shares, net)
	}
}
