package ratchet

import (
	"fmt"

	"tlsratchet/tlsstate"
)

// Explanation is what a session would mean now, rule by rule.
type Explanation struct {
	// Decision is the whole, as [Ratchet.Decide] would have it on a listener
	// that offers STARTTLS, and before the breaker limits its action.
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
	// Pins tells of each level up to the policy's, Weak first, whether its pin
	// holds for this session.
	Pins []PinLine
}

// PinLine is one pin of an identity.
type PinLine struct {
	Level tlsstate.Level
	Pin   tlsstate.Pin
	State tlsstate.PinState
}

// Explain judges a session as [Ratchet.Decide] would, and shows its work. It
// writes nothing. An error means that the memory could not be read.
func (r *Ratchet) Explain(s *Session) (Explanation, error) {
	var e Explanation
	rule := r.rules.Load().For(s.Peer.IP, s.Peer.Host)
	e.Policy = *rule
	e.Decision.rule = rule
	o := tlsstate.Observation{Day: s.day(), Security: s.Security}
	var vs tlsstate.Verdicts
	for _, one := range []struct {
		id tlsstate.Identity
		v  *tlsstate.Verdict
	}{{s.Peer.Address, &vs.Address}, {s.Peer.Domain, &vs.Domain}} {
		if one.id.IsZero() {
			continue
		}
		h, err := r.histories.Load(one.id)
		if err != nil {
			return e, fmt.Errorf("loading %s: %w", one.id, err)
		}
		*one.v, _ = tlsstate.Judge(h, o, rule)
		one.v.Identity = one.id
		e.Identities = append(e.Identities, Part{History: h, Verdict: *one.v, Pins: pinLines(h, &o, rule)})
	}
	e.Decision.Verdict = tlsstate.Combine(&vs, rule)
	return e, nil
}

func pinLines(h tlsstate.History, o *tlsstate.Observation, rule *tlsstate.Policy) (lines []PinLine) {
	for l := tlsstate.Weak; l <= min(rule.PinUpTo, tlsstate.TLS13); l++ {
		lines = append(lines, PinLine{Level: l, Pin: h.Pins[l-1], State: h.PinState(l, rule, o.Day, o.Level < l)})
	}
	return lines
}
