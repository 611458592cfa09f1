package ratchet

import (
	"net/netip"

	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

// anyListener joins what is known of all ports: whoever strips can also divert
// a session to a port that never offered STARTTLS.
var anyListener = tlsstate.Identity{Kind: tlsstate.Listener, Name: "any"}

// loadElsewhere finds out whether STARTTLS is known on another port than the
// session's, where it isn't there.
func (r *Ratchet) loadElsewhere(t *trial) error {
	if t.elsewhere = false; t.offered() || t.listener.id.IsZero() || r.o.Plain(t.listener.id) {
		return nil
	}
	other := part{id: anyListener}
	err := r.loadPart(t, &other)
	t.elsewhere = other.history.Offers(t.day)
	return err
}

// loadNetwork reads the history of the network that the address is in, where
// that can say something: of an address that was never seen with TLS. Where DNS
// confirms no name, it then finds out who speaks.
func (r *Ratchet) loadNetwork(t *trial) error {
	if t.address.history.Best() == tlsstate.Plaintext && t.Peer.IP.IsValid() {
		t.network.id = t.Peer.NetworkID()
		if err := r.loadPart(t, &t.network); err != nil {
			return err
		}
	}
	if t.Peer.Host != "" || !t.Peer.Domain.IsZero() {
		return nil
	}
	return r.recall(t)
}

// recall makes the domain speak that the memory has for an address without a
// confirmed name: whoever strips can also break our DNS. It is the domain of the
// name that the address last had, or the one that was ever seen with TLS in its
// network; neither for longer than a pin holds, for addresses change hands. It is
// judged, and learns nothing.
func (r *Ratchet) recall(t *trial) error {
	recent := func(d tlsstate.Day) bool { return int(t.day)-int(d) <= t.rule.PinMaxAgeDays }
	host, network := "", &t.network.history
	if name := t.address.history.Name; recent(name.Day) {
		host = name.Text
	} else if recent(network.Pin(tlsstate.Weak).Met) {
		host = network.Name.Text
	}
	domain, ok := peer.Domain(host, netip.Addr{})
	if !ok {
		return nil
	}
	if rule := r.ruleFor(t.Session, host); !rule.Exempt {
		t.rule = rule
	}
	t.recalled = true
	t.domain.id = tlsstate.Identity{Kind: tlsstate.Domain, Name: domain}
	return r.loadPart(t, &t.domain)
}
