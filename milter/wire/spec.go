package wire

import "net/netip"

// Networks of a [Spec].
const (
	NetworkUnix    = "unix"
	NetworkTCP     = "tcp"
	NetworkSystemd = "systemd"
)

// Spec says where to listen. Package config reads it from text.
type Spec struct {
	// Network is one of the Network constants.
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
	case NetworkTCP:
		return "inet:" + s.Address
	}
	return s.Network
}

// Descriptors is how many file descriptors a connection takes at most that comes in there.
func (s Spec) Descriptors() int {
	if s.Network == NetworkTCP {
		return 1
	}
	return unixDescriptors
}

// network is exact where the host is an address: under plain "tcp" Go takes
// 0.0.0.0 for IPv6 too, which is wider than asked.
func (s Spec) network() string {
	at, err := netip.ParseAddrPort(s.Address)
	switch {
	case err != nil:
		return s.Network
	case at.Addr().Is4():
		return "tcp4"
	}
	return "tcp6"
}
