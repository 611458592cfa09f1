package ratchet

import (
	"context"
	"fmt"

	"tlsratchet/internal/peer/spf"
	"tlsratchet/tlsstate"
)

// Senders proves claims of senders; see [spf.Prover], whose methods these are.
type Senders interface {
	Prove(context.Context, spf.Claim) spf.Result
	Learn(c spf.Claim, learn func()) bool
	Tried(spf.Claim) bool
}

// SetSenders makes senders identities too; without it there are none. Call it
// before the first session.
func (r *Ratchet) SetSenders(s Senders) { r.senders = s }

// sender judges the session for the sender that it claims. heard says that the
// session is a downgrade already, by an identity that speaks before the sender:
// then nobody waits for a proof.
func (r *Ratchet) sender(s *Session, o tlsstate.Observation, heard bool, d *Decision) (tlsstate.Verdict, error) {
	if r.senders == nil {
		return tlsstate.Verdict{}, nil
	}
	c, ok := spf.ClaimOf(&s.Peer, s.From)
	if !ok {
		return tlsstate.Verdict{}, nil
	}
	h, err := r.histories.Load(c.Identity)
	if err != nil {
		return tlsstate.Verdict{}, fmt.Errorf("loading %s: %w", c.Identity, err)
	}
	c.Known = h != tlsstate.History{}
	v, after := tlsstate.Judge(h, o, d.rule)
	v.Identity = c.Identity
	if v.Outcome == tlsstate.Downgraded && (heard || s.Level > tlsstate.Plaintext || r.senders.Prove(context.Background(), c) != spf.Proven) {
		v = tlsstate.Verdict{} // claimed, not proven
	}
	if after != h && !r.senders.Tried(c) {
		d.claim, d.Changes = c, true
	}
	return v, nil
}

// learnSender has the session learned for its sender once that is proven.
func (r *Ratchet) learnSender(s *Session, d *Decision) {
	if d.claim.Identity.IsZero() {
		return
	}
	// The learning comes later: of what is only lent it needs copies.
	session, decision, id := *s, Decision{rule: d.rule}, d.claim.Identity
	r.senders.Learn(d.claim, func() {
		o := tlsstate.Observation{Day: session.day(), Security: session.Security}
		if _, err := r.update(&session, id, o, &decision); err != nil {
			r.failures.Add(1)
			r.log.Error("sender not remembered", "error", err)
		}
	})
}
