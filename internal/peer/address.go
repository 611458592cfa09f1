package peer

import (
	"net/netip"
	"strconv"
	"strings"

	"tlsratchet/tlsstate"
)

// parseAddr reads an address as Postfix writes it: IPv6 with or without the tag
// of RFC 5321 section 4.1.3, in any case (Postfix 3.4 passes on that of XCLIENT).
func parseAddr(s string) (netip.Addr, bool) {
	const tag = "IPv6:"
	tagged := len(s) > len(tag) && strings.EqualFold(s[:len(tag)], tag)
	if tagged {
		s = s[len(tag):]
	}
	ip, err := netip.ParseAddr(s)
	if err != nil || tagged && ip.Is4() {
		return netip.Addr{}, false
	}
	// A zone names a link of ours, not the peer, and can hold any byte.
	if ip = ip.Unmap().WithZone(""); Translated.Contains(ip) {
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	return ip, true
}

// Translated is where a network of IPv6 alone sees the IPv4 Internet (RFC 6052
// section 2.1; RFC 7755). As one /48 all of it would share what a network may bring.
var Translated = netip.MustParsePrefix("64:ff9b::/96")

// addressName returns the name of the address identity; raw is the text that
// the address came as, and is kept if it is the same.
func addressName(ip netip.Addr, raw string) string {
	var buf [len("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")]byte
	text := ip.AppendTo(buf[:0])
	if string(text) == raw {
		return raw
	}
	return string(text)
}

// marks returns the sketches of the network and of the address.
func marks(ip netip.Addr) (network, address tlsstate.Sketch) {
	if ip.Is4() {
		b := ip.As4()
		return tlsstate.Mark(b[:3]), tlsstate.Mark(b[:])
	}
	b := ip.As16()
	return tlsstate.Mark(b[:6]), tlsstate.Mark(b[:])
}

// Network returns the network that an address counts as: its /24, or /48 of
// IPv6. The zero address has none.
func Network(ip netip.Addr) netip.Prefix { return Prefix(ip, 24, 48) }

// Prefix returns the network that an address is in, by how many bits of IPv4 and
// of IPv6. The zero address has none.
func Prefix(ip netip.Addr, bits4, bits6 int) netip.Prefix {
	bits := bits6
	if ip.Is4() {
		bits = bits4
	}
	p, _ := ip.Prefix(bits)
	return p
}

// listenerName returns the name of a listener: its port. Whoever strips can
// also divert a session to another of our addresses.
func listenerName(port string) (string, bool) {
	n, err := strconv.ParseUint(port, 10, 16)
	return strconv.FormatUint(n, 10), err == nil && n > 0
}
