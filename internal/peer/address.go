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
	return ip.Unmap().WithZone(""), true
}

// addressName returns the name of the address identity; raw is the text that
// the address came as, and is kept if it is the same.
func addressName(ip netip.Addr, raw string) string {
	if !ip.Is4() {
		return netip.PrefixFrom(ip, 64).Masked().String()
	}
	var buf [len("255.255.255.255")]byte
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
	return tlsstate.Mark(b[:6]), tlsstate.Mark(b[:8])
}

// listenerName joins address and port of a listener.
func listenerName(addr, port string) (string, bool) {
	if addr == "" || port == "" {
		return "", false
	}
	ip, ok := parseAddr(addr)
	n, err := strconv.ParseUint(port, 10, 16)
	if !ok || err != nil || n == 0 {
		return "", false
	}
	var buf [len("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")]byte
	return string(netip.AddrPortFrom(ip, uint16(n)).AppendTo(buf[:0])), true
}
