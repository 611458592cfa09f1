package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"tlsratchet/milter/wire"
)

// maxSocketPath is what fits into sun_path with its NUL.
const maxSocketPath = 107

func parseListener(s string) (wire.Spec, error) {
	form, rest, _ := strings.Cut(s, ":")
	switch {
	case s == wire.NetworkSystemd:
		return wire.Spec{Network: wire.NetworkSystemd}, nil
	case form == "unix":
		file, err := parseSocketPath(rest)
		return wire.Spec{Network: wire.NetworkUnix, Address: file}, err
	case form == "inet":
		address, err := parseHostPort(rest)
		return wire.Spec{Network: wire.NetworkTCP, Address: address}, err
	}
	return wire.Spec{}, fmt.Errorf("unknown listener %s: use unix:/path, inet:host:port or systemd", shown(s))
}

// ownListener parses a listener that systemd does not open, or one of the words.
func ownListener(words ...string) func(string) (wire.Spec, error) {
	return func(s string) (wire.Spec, error) {
		if slices.Contains(words, s) {
			return wire.Spec{Network: s}, nil
		}
		l, err := parseListener(s)
		if err != nil || l.Network == wire.NetworkSystemd {
			err = fmt.Errorf("unknown listener %s: use %s", shown(s), strings.Join(append(words, "unix:/path or inet:host:port"), ", "))
		}
		return l, err
	}
}

// hostPort parses host:port. The example is for the error.
func hostPort(example string) func(string) (string, error) {
	return func(s string) (string, error) {
		address, err := parseHostPort(s)
		if err != nil {
			err = fmt.Errorf("unknown address %s: use host:port, as %s", shown(s), example)
		}
		return address, err
	}
}

func parseHostPort(s string) (string, error) {
	want := fmt.Errorf("unknown address %s: use inet:host:port, as inet:127.0.0.1:8891 or inet:[::1]:8891", shown(s))
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", want
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("port %s: want a number from 1 to 65535", shown(port))
	}
	if addr, err := netip.ParseAddr(host); err == nil && printable(host) {
		host = addr.String()
	} else if host, err = parseDomain(host); err != nil {
		return "", want
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}
