package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Networks of a [Spec]. The TCP ones are those of package net.
const (
	NetworkUnix    = "unix"
	NetworkTCP     = "tcp"
	NetworkTCP4    = "tcp4"
	NetworkTCP6    = "tcp6"
	NetworkSystemd = "systemd"
)

// maxSocketPath is what fits into sockaddr_un beside its final NUL.
const maxSocketPath = 107

// ErrSpec is wrapped by every error of [ParseSpec]; the operator has to
// correct the text.
var ErrSpec = errors.New("not a listener")

// Spec says where to listen: the parsed form of a listener's text.
type Spec struct {
	// Network is one of the Network constants.
	Network string
	// Address is a path, a host:port as package net takes it, or empty for
	// systemd.
	Address string
}

// String returns the spec as [ParseSpec] reads it.
func (s Spec) String() string {
	switch s.Network {
	case NetworkSystemd:
		return "systemd"
	case NetworkUnix:
		return "unix:" + s.Address
	case NetworkTCP6:
		return "inet6:" + s.Address
	}
	return "inet:" + s.Address
}

// ParseSpec reads the text of a listener, as Postfix and libmilter write it:
//
//	unix:/path    local:/path
//	inet:host:port    inet:[::1]:port    inet:port@host
//	inet6:[::1]:port    inet6:port@host
//	systemd
//
// The host must be there: all interfaces are asked for as 0.0.0.0 or ::. The
// error wraps [ErrSpec] and says what would be right.
func ParseSpec(text string) (Spec, error) {
	if text == "systemd" {
		return Spec{Network: NetworkSystemd}, nil
	}
	kind, rest, found := strings.Cut(text, ":")
	if !found {
		return Spec{}, specError(text, "want unix:/path, inet:host:port or systemd")
	}
	switch kind {
	case "unix", "local":
		return parsePath(text, rest)
	case "inet", "inet6":
		return parseInet(text, kind, rest)
	}
	return Spec{}, specError(text, "unknown kind, want unix:, inet:, inet6: or systemd")
}

func specError(text, why string) error {
	return fmt.Errorf("%w: %q: %s", ErrSpec, text, why)
}

func parsePath(text, path string) (Spec, error) {
	switch {
	case !strings.HasPrefix(path, "/"):
		return Spec{}, specError(text, "the path must be absolute")
	case strings.HasSuffix(path, "/"):
		return Spec{}, specError(text, "the path names a directory")
	case strings.ContainsRune(path, 0):
		return Spec{}, specError(text, "the path holds a NUL")
	case len(path) > maxSocketPath:
		return Spec{}, specError(text, fmt.Sprintf("the path has %d bytes, a socket's can have %d", len(path), maxSocketPath))
	}
	return Spec{Network: NetworkUnix, Address: path}, nil
}

func parseInet(text, kind, rest string) (Spec, error) {
	host, port, err := splitHostPort(rest)
	if err != nil {
		return Spec{}, specError(text, "want host:port with IPv6 in brackets, or port@host")
	}
	if host == "" {
		return Spec{}, specError(text, "no host; 127.0.0.1 is this machine alone, 0.0.0.0 everybody")
	}
	if strings.ContainsFunc(host, notInHost) {
		return Spec{}, specError(text, "the host holds a character that no name or address has")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return Spec{}, specError(text, "the port must be a number from 0 to 65535")
	}
	network, ok := tcpNetwork(kind, host)
	if !ok {
		return Spec{}, specError(text, "an IPv4 address under inet6:")
	}
	return Spec{Network: network, Address: net.JoinHostPort(host, port)}, nil
}

// notInHost is for names, addresses and zones of addresses.
func notInHost(r rune) bool {
	return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune(".-_:%", r)
}

// splitHostPort takes both orders. A bracketed host is an IPv6 address.
func splitHostPort(s string) (host, port string, err error) {
	if port, host, found := strings.Cut(s, "@"); found {
		host = strings.TrimPrefix(host, "[")
		return strings.TrimSuffix(host, "]"), port, nil
	}
	return net.SplitHostPort(s)
}

// tcpNetwork is exact where the host is an address: under plain "tcp" Go takes
// 0.0.0.0 for IPv6 too, which is wider than asked.
func tcpNetwork(kind, host string) (network string, ok bool) {
	addr, err := netip.ParseAddr(host)
	switch {
	case kind == "inet6":
		return NetworkTCP6, err != nil || addr.Is6()
	case err != nil:
		return NetworkTCP, true
	case addr.Is4():
		return NetworkTCP4, true
	}
	return NetworkTCP6, true
}
