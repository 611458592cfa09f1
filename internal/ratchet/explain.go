package ratchet

import (
	"fmt"
	"net/netip"
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
	// Pins are the pins of each level up to the policy's, Weak first, with
	// their states for this session.
	Pins []PinLine
}

// PinLine is one pin of an identity.
type PinLine struct {
	Level tlsstate.Level
	Pin   tlsstate.Pin
	State tlsstate.PinState
}

// Explain judges a session as [Ratchet.Decide] does, and shows the steps. It
// writes nothing, asks nobody else, and the breaker doesn't count it. An error
// means that the memory could not be read.
func (r *Ratchet) Explain(s *Session) (Explanation, error) {
	var t trial
	r.begin(&t, s)
	t.dry, t.claimed.Identity = true, tlsstate.Identity{}
	e := Explanation{Policy: *t.rule}
	if t.exempt() {
		e.Decision = t.Decision
		return e, nil
	}
	if err := r.try(&t); err != nil {
		return e, err
	}
	e.Decision, e.Policy = t.Decision, *t.rule // which the memory may have found
	r.o.Breaker.preview(s, &e.Decision)
	for _, p := range t.peerParts() {
		if !p.id.IsZero() {
			e.Identities = append(e.Identities, Part{History: p.history, Verdict: p.verdict, Pins: pinLines(p.history, &p.seen, t.rule)})
		}
	}
	return e, nil
}

func pinLines(h tlsstate.History, o *tlsstate.Observation, rule *tlsstate.Policy) (lines []PinLine) {
	for l := tlsstate.Weak; l <= min(rule.PinUpTo, tlsstate.TLS13); l++ {
		lines = append(lines, PinLine{Level: l, Pin: h.Pins[l-1], State: h.PinState(l, rule, o.Day, o.Level < l)})
	}
	return lines
}

// SessionOf makes up a session of a peer that is known by one identity, for
// [Ratchet.Explain]. The error says that the identity is no peer's.
func SessionOf(id tlsstate.Identity, at time.Time, security tlsstate.Security) (*Session, error) {
	s := &Session{At: at, Security: security}
	switch id.Kind {
	case tlsstate.Address:
		ip, err := netip.ParseAddr(id.Name)
		if err != nil {
			return nil, fmt.Errorf("%s is no address", id.Name)
		}
		if s.Peer, err = peer.Identify(peer.Client{Addr: ip.String()}); err != nil {
			return nil, err
		}
	case tlsstate.Domain:
		s.Peer.Host, s.Peer.Domain = id.Name, id
	case tlsstate.Sender:
		s.sender = id
	default:
		return nil, fmt.Errorf("%s is no peer", id)
	}
	return s, nil
}
