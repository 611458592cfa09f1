package wire

import (
	"net"
	"net/netip"
)

// Networks of a [Spec].
const (
	NetworkUnix    = "unix"
	NetworkTCP     = "tcp"
	NetworkTCP4    = "tcp4"
	NetworkTCP6    = "tcp6"
	NetworkSystemd = "systemd"
)

// Spec says where to listen. Package config reads it from text.
type Spec struct {
	// Network is one of the Network constants. TCP is TCP4 or TCP6 where the
	// host is an address.
	Network string
	// Address is a path, a host:port as package net takes it, or empty for
	// systemd.
	Address string
}

// String returns the spec as the configuration spells it.
func (s Spec) String() string {
	switch s.Network {
	case NetworkUnix:
		return "unix:" + s.Address
	case NetworkTCP, NetworkTCP4, NetworkTCP6:
		return "inet:" + s.Address
	}
	return s.Network
}

// network is exact where the host is an address: under plain "tcp" Go takes
// 0.0.0.0 for IPv6 too, which is wider than asked.
func (s Spec) network() string {
	host, _, err := net.SplitHostPort(s.Address)
	addr, notAddr := netip.ParseAddr(host)
	switch {
	case s.Network != NetworkTCP || err != nil || notAddr != nil:
		return s.Network
	case addr.Is4():
		return NetworkTCP4
	}
	return NetworkTCP6
}
