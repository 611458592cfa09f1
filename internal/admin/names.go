package admin

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	"tlsratchet/internal/outbound"
	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

// Resolve returns the identity that an operator means: "domain:bank.example"
// as it is, an address as sessions have it, or a host name by its organisational
// domain. The error says what would be right.
func Resolve(name string) (tlsstate.Identity, error) {
	id, err := tlsstate.ParseIdentity(name)
	host, address := hostAndAddress(name)
	if p, wrong := peer.Identify(peer.Client{Addr: address}); wrong == nil && (err != nil || id.Kind == tlsstate.Address) {
		return p.Address, nil
	}
	if err == nil {
		return id, nil
	}
	host, err = peer.Normalize(host)
	if err != nil {
		return tlsstate.Identity{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	d, ok := peer.Domain(host, netip.Addr{})
	if !ok {
		return tlsstate.Identity{}, fmt.Errorf("%w: %s is no host or organisational domain; an identity is written as in the log, such as address:192.0.2.10", ErrBadRequest, host)
	}
	return tlsstate.Identity{Kind: tlsstate.Domain, Name: d}, nil
}

// canonical returns the name that sessions and deliveries give to an identity, or ""
// for what they never have.
func canonical(id tlsstate.Identity) (name string) {
	switch id.Kind {
	case tlsstate.Domain:
		name, _ = peer.Domain(id.Name, netip.Addr{})
	case tlsstate.Sender: // of a client: see package spf
		sender, client, _ := strings.Cut(id.Name, "/")
		if sender, err := peer.Normalize(sender); err == nil {
			if client = cmp.Or(canonical(tlsstate.Identity{Kind: tlsstate.Domain, Name: client}), canonical(tlsstate.Identity{Kind: tlsstate.Network, Name: client})); client != "" {
				name = sender + "/" + client
			}
		}
	case tlsstate.Listener:
		if id.Name == "any" { // what all of them offer
			return id.Name
		}
		p, _ := peer.Identify(peer.Client{Addr: "127.0.0.1", DaemonPort: id.Name})
		name = p.Listener.Name
	case tlsstate.Destination:
		name, _ = outbound.DestinationOf(id.Name)
	case tlsstate.MX:
		name, _ = peer.Normalize(id.Name)
	case tlsstate.Network:
		if p, err := netip.ParsePrefix(id.Name); err == nil {
			name = peer.Network(p.Addr()).String()
		}
	default:
		p, _ := peer.Identify(peer.Client{Addr: id.Name})
		name = p.Address.Name
	}
	return name
}
