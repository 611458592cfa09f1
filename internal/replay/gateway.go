package replay

import "net/netip"

var sharedSpace = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

// isGateway reports whether an address is private (RFC 1918, RFC 4193) or shared
// (RFC 6598): a gateway more often than a peer.
func isGateway(ip netip.Addr) bool { return ip.IsPrivate() || sharedSpace.Contains(ip) }
