package ratchet

import (
	"fmt"
	"strings"
	"time"

	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

// Explanation is what a session would mean now, rule by rule.
type Explanation struct {
	// Decision is the whole, as [Ratchet.Decide] would have it on a listener
	// that offers STARTTLS: with rows, exemptions and the breaker.
	Decision Decision
	// Identities are the parts, in the order in which they speak. Those that
	// the session doesn't prove are left out.
	Identities []Part
	// Policy is the one that the session falls under.
	Policy tlsstate.Policy
}

// Part is one identity's share in an [Explanation].
type Part struct {
	History tlsstate.History
	Verdict tlsstate.Verdict
	// Pins are the states, for this session, of the pins of each level up to the
	// policy's, Weak first.
	Pins []tlsstate.PinState
}

// Explain judges a session as [Ratchet.Decide] does, and shows the steps. It
// writes nothing, asks nobody else, and the breaker doesn't count it. The sender
// is taken as proven. An error means that the memory could not be read.
func (r *Ratchet) Explain(s *Session) (Explanation, error) {
	var t trial
	r.begin(&t, s)
	t.dry = true
	e := Explanation{Policy: *t.rule}
	if t.exempt() {
		e.Decision = t.Decision
		return e, nil
	}
	if err := r.try(&t); err != nil {
		return e, err
	}
	if !s.sender.IsZero() {
		t.fromStranger()
	}
	e.Decision, e.Policy = t.Decision, *t.rule // which the memory may have found
	r.o.Breaker.preview(s, &e.Decision)
	for _, p := range t.peerParts() {
		if !p.id.IsZero() && !p.verdict.Identity.IsZero() { // else it is a claim that has no say
			e.Identities = append(e.Identities, Part{History: p.history, Verdict: p.verdict, Pins: pinStates(p.history, &p.seen, t.rule)})
		}
	}
	return e, nil
}

// fromStranger has the message of a sender come from an address that nothing is known
// of. SPF is asked for sessions in clear alone.
func (t *trial) fromStranger() {
	t.address.verdict, _ = tlsstate.Learn(tlsstate.History{}, t.addressObservation(), t.rule)
	t.address.verdict.Identity = t.sender.id
	sender := t.sender.verdict
	if t.Level > tlsstate.Plaintext {
		t.sender.verdict = tlsstate.Verdict{}
	}
	t.combine(false)
	t.sender.verdict, t.Unlimited = sender, t.Action
}

func pinStates(h tlsstate.History, o *tlsstate.Observation, rule *tlsstate.Policy) (all []tlsstate.PinState) {
	for l := tlsstate.Weak; l <= rule.PinUpTo; l++ {
		all = append(all, h.PinState(l, rule, o.Day, o.Level < l))
	}
	return all
}

// SessionOf makes up a session of a peer that is known by one identity, for
// [Ratchet.Explain]. The error says that the identity is no peer's.
func SessionOf(id tlsstate.Identity, at time.Time, security tlsstate.Security) (*Session, error) {
	s := &Session{At: at, Security: security}
	switch id.Kind {
	case tlsstate.Address:
		var err error
		if s.Peer, err = peer.Identify(peer.Client{Addr: id.Name}); err != nil {
			return nil, fmt.Errorf("%s is no address", id.Name)
		}
	case tlsstate.Domain:
		s.Peer.Host, s.Peer.Domain = id.Name, id
	case tlsstate.Sender:
		domain, _, _ := strings.Cut(id.Name, "/") // of a client: see package spf
		s.sender, s.From = id, "postmaster@"+domain
	default:
		return nil, fmt.Errorf("%s is no peer", id)
	}
	return s, nil
}
