package ratchet

import (
	"errors"
	"net/netip"

	"tlsratchet/tlsstate"
)

// carrierNAT is the address space that providers share (RFC 6598).
var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

// isPrivate reports whether an address is a private (RFC 1918), shared (RFC
// 6598), unique local (RFC 4193) or link-local one. It is a gateway's more often
// than a peer's: behind a NAT or Docker's proxy all clients have it.
func isPrivate(ip netip.Addr) bool {
	return ip.IsPrivate() || ip.IsLinkLocalUnicast() || carrierNAT.Contains(ip)
}

// notePrivate logs the first session that is not judged for its private address.
func (r *Ratchet) notePrivate(t *trial) {
	if errors.Is(t.Reason, ErrPrivate) && !r.privateSeen.Swap(true) {
		r.o.Log.Warn("session from a private address, which is not judged; if Postfix is behind a NAT or a proxy it can't see its peers; if this is a real peer, list its network in judge_networks",
			"client", t.Client(), "tls", t.Level > tlsstate.Plaintext)
	}
}
