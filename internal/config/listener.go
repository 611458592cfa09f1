package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The values of [Listener.Network].
const (
	Unix    = "unix"
	TCP     = "tcp"
	Systemd = "systemd"
)

// Listener is where Postfix finds us.
type Listener struct {
	// Network is [Unix], [TCP] or [Systemd].
	Network string
	// Address is a clean absolute path, or host:port; "" for Systemd.
	Address string
}

// String returns the listener as the file spells it.
func (l Listener) String() string {
	switch l.Network {
	case Unix:
		return "unix:" + l.Address
	case TCP:
		return "inet:" + l.Address
	}
	return l.Network
}

// maxSocketPath is what fits into sun_path with its NUL.
const maxSocketPath = 107

func parseListener(s string) (Listener, error) {
	form, rest, _ := strings.Cut(s, ":")
	switch {
	case s == Systemd:
		return Listener{Network: Systemd}, nil
	case form == "unix":
		file, err := parseSocketPath(rest)
		return Listener{Network: Unix, Address: file}, err
	case form == "inet":
		address, err := parseHostPort(rest)
		return Listener{Network: TCP, Address: address}, err
	}
	return Listener{}, fmt.Errorf("unknown listener %s: use unix:/path, inet:host:port or systemd", shown(s))
}

// ownListener parses a listener that systemd does not open, or one of the words.
func ownListener(words ...string) func(string) (Listener, error) {
	return func(s string) (Listener, error) {
		if slices.Contains(words, s) {
			return Listener{Network: s}, nil
		}
		l, err := parseListener(s)
		if err != nil || l.Network == Systemd {
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
