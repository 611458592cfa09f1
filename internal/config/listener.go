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

// listener parses where to listen, or one of the words.
func listener(words ...string) func(string) (wire.Spec, error) {
	return func(s string) (wire.Spec, error) {
		form, rest, _ := strings.Cut(s, ":")
		switch {
		case slices.Contains(words, s):
			return wire.Spec{Network: s}, nil
		case form == "unix":
			file, err := parseSocketPath(rest)
			return wire.Spec{Network: wire.NetworkUnix, Address: file}, err
		case form == "inet":
			address, err := hostPort("inet:host:port, as inet:127.0.0.1:8891 or inet:[::1]:8891")(rest)
			return wire.Spec{Network: wire.NetworkTCP, Address: address}, err
		}
		return wire.Spec{}, fmt.Errorf("unknown listener %s: use %s", shown(s), strings.Join(append([]string{"unix:/path", "inet:host:port"}, words...), ", "))
	}
}

// hostPort parses host:port. use is how its error ends.
func hostPort(use string) func(string) (string, error) {
	return func(s string) (string, error) {
		wrong := fmt.Errorf("unknown address %s: use %s", shown(s), use)
		host, port, _ := net.SplitHostPort(s)
		n, err := strconv.ParseUint(port, 10, 64)
		if err != nil {
			return "", wrong
		}
		if addr, err := netip.ParseAddr(host); err == nil && printable(host) {
			host = addr.String()
		} else if host, err = parseDomain(host); err != nil {
			return "", wrong
		}
		if n == 0 || n > 65535 {
			return "", fmt.Errorf("port %s: want a number from 1 to 65535", shown(port))
		}
		return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
	}
}
