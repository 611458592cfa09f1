package ratchet

import (
	"strings"

	"tlsratchet/tlsstate"
)

// The observations: what each identity learns of a session.

func (t *trial) listenerObservation() tlsstate.Observation {
	return tlsstate.Observation{Day: t.day, Security: tlsstate.Security{Level: t.Level}}
}

// addressObservation carries the name that DNS confirmed.
func (t *trial) addressObservation() tlsstate.Observation {
	o := tlsstate.Observation{Day: t.day, Security: t.Security}
	if !t.Peer.Domain.IsZero() {
		o.Name = tlsstate.LastName(t.day, t.Peer.Host, t.Peer.Domain.Name)
	}
	return o
}

// domainObservation carries the marks of the address: one that came with TLS,
// or one that is known to come in clear.
func (t *trial) domainObservation(address *tlsstate.Verdict) tlsstate.Observation {
	o := tlsstate.Observation{Day: t.day, Security: t.Security}
	switch {
	case t.Level > tlsstate.Plaintext:
		o.Networks, o.Addresses, o.HostNames = t.Peer.Network, t.Peer.Mark, t.Peer.HostMark
	case address.OftenBare:
		o.Bare = t.Peer.Mark
	}
	return o
}

// networkObservation carries the domain of the address, likewise. ok is false
// where the session says nothing of the network.
func (t *trial) networkObservation(address *tlsstate.Verdict) (o tlsstate.Observation, ok bool) {
	o = tlsstate.Observation{Day: t.day, Security: tlsstate.Security{Level: t.Level}}
	switch domain := t.Peer.Domain; {
	case domain.IsZero():
		return o, false
	case t.Level > tlsstate.Plaintext:
		o.Addresses, o.Name = tlsstate.Mark([]byte(domain.Name)), tlsstate.OnlyName(domain.Name)
	case address.OftenBare && !address.HasTLS:
		o.Bare = tlsstate.Mark([]byte(domain.Name))
	default:
		return o, false
	}
	return o, true
}

// senderObservation carries the mark of the address, until two are known that a
// sender came from: that shows whether senders move between the addresses of the
// client's domain.
func (t *trial) senderObservation() tlsstate.Observation {
	o := tlsstate.Observation{Day: t.day, Security: t.Security}
	known := t.sender.history.Named
	if several := known&(known-1) != 0; !several && t.Level > tlsstate.Plaintext && !t.Peer.Domain.IsZero() {
		o.Named = t.Peer.Mark
	}
	return o
}

// sendersOf returns what the domain learns of a sender that it knew: whether it
// came again from its address, or from another. A domain's own sender says
// nothing: at some providers each host has one, under its name.
func (t *trial) sendersOf(sender *tlsstate.Verdict) tlsstate.Senders {
	name, _, _ := strings.Cut(t.sender.id.Name, "/")
	switch own := strings.HasSuffix("."+name, "."+t.Peer.Domain.Name); {
	case sender.Named == 0 || own || t.Level == tlsstate.Plaintext:
	case sender.Named == t.Peer.Mark:
		return tlsstate.SenderMark(name, false)
	case sender.Named&t.Peer.Mark == 0:
		return tlsstate.SenderMark(name, true)
	}
	return 0
}

// domainMark returns the mark of the domain that speaks, or 0.
func (t *trial) domainMark() tlsstate.Sketch {
	if t.domain.id.IsZero() || t.network.history.Addresses == 0 {
		return 0
	}
	return tlsstate.Mark([]byte(t.domain.id.Name))
}
