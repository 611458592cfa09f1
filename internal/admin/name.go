package admin

import (
	"fmt"
	"net/netip"
	"strings"

	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

// HostAndAddress returns the host and the address of a client that an operator names:
// by one of them, by its identity, or as logs have it,
// "mx1.bank.example[192.0.2.10]". What is not there is "".
func HostAndAddress(name string) (host, address string) {
	if id, err := tlsstate.ParseIdentity(name); err == nil && id.Kind == tlsstate.Domain {
		return id.Name, ""
	} else if err == nil && id.Kind == tlsstate.Address {
		return "", id.Name
	}
	if host, rest, ok := strings.Cut(strings.TrimSuffix(name, "]"), "["); ok {
		return host, rest
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return "", name
	}
	return name, ""
}

// Resolve returns the identity that an operator means: "domain:bank.example"
// as it is, an address, or a host name by its organisational domain. The error
// says what would be right.
func Resolve(name string) (tlsstate.Identity, error) {
	if id, err := tlsstate.ParseIdentity(name); err == nil {
		return id, nil
	}
	host, address := HostAndAddress(name)
	if p, err := peer.Identify(peer.Client{Addr: address}); err == nil {
		return p.Address, nil
	}
	host, err := peer.Normalize(host)
	if err != nil {
		return tlsstate.Identity{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	d, ok := peer.Domain(host, netip.Addr{})
	if !ok {
		return tlsstate.Identity{}, fmt.Errorf("%w: %s is no host or organisational domain; an identity is written as in the log, such as address:192.0.2.10", ErrBadRequest, host)
	}
	return tlsstate.Identity{Kind: tlsstate.Domain, Name: d}, nil
}
