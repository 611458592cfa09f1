package admin

import (
	"fmt"
	"net/netip"

	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

// Resolve returns the identity that an operator means: "domain:bank.example"
// as it is, an address, or a host name by its organisational domain. The error
// says what would be right.
func Resolve(name string) (tlsstate.Identity, error) {
	if id, err := tlsstate.ParseIdentity(name); err == nil {
		return id, nil
	}
	if p, err := peer.Identify(peer.Client{Addr: name}); err == nil {
		return p.Address, nil
	}
	host, err := peer.Normalize(name)
	if err != nil {
		return tlsstate.Identity{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	d, ok := peer.Domain(host, netip.Addr{})
	if !ok {
		return tlsstate.Identity{}, fmt.Errorf("%w: %s is no host or organisational domain; an identity is written as in the log, such as address:192.0.2.10", ErrBadRequest, host)
	}
	return tlsstate.Identity{Kind: tlsstate.Domain, Name: d}, nil
}
