package store

import (
	"encoding/binary"
	"net/netip"

	"tlsratchet/tlsstate"
)

// source is who brings a change, and when.
type source struct {
	from   network
	subnet uint64 // the /64 of IPv6, else 0
	today  tlsstate.Day
	known  bool // it was known before: no newcomer of today
}

func sourceOf(client netip.Addr, today tlsstate.Day) source {
	by := source{from: networkOf(client), today: today}
	if client = client.Unmap(); client.Is6() {
		b := client.As16()
		by.subnet = binary.BigEndian.Uint64(b[:])
	}
	return by
}

// newcomer reports whether the change counts against the limits for newcomers.
func (s *source) newcomer(id tlsstate.Identity, old *tlsstate.History) bool {
	return *old == tlsstate.History{} && id.Kind != tlsstate.Listener && s.from != 0 && !s.known
}

// network is a client's network, its /24 or its /48 of IPv6: 48 bits under the
// number of the family. 0 is none that is known.
type network uint64

const familyBits = 48

func networkOf(ip netip.Addr) network {
	switch ip = ip.Unmap(); {
	case ip.Is4():
		b := ip.As4()
		return 4<<familyBits | network(binary.BigEndian.Uint32(b[:])>>8)
	case ip.Is6():
		b := ip.As16()
		return 6<<familyBits | network(binary.BigEndian.Uint64(b[:])>>16)
	}
	return 0
}

// operator returns the /16, or the /32 of IPv6, that holds the network: about
// what one operator has. Whoever has a /32 has 65,536 of /48.
func (n network) operator() network {
	if n>>familyBits == 4 {
		return n &^ 0xFF
	}
	return n &^ 0xFFFF
}

// String returns the network as a prefix.
func (n network) String() string {
	switch n >> familyBits {
	case 4:
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n >> 16), byte(n >> 8), byte(n)}), 24).String()
	case 6:
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], uint64(n)<<16)
		return netip.PrefixFrom(netip.AddrFrom16(b), 48).String()
	}
	return "none"
}
