package peer

import (
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Domain returns the organisational domain of a confirmed client name: its
// public suffix, private section included, and one label more. A text that is no
// host name has none, nor has a bare label, a public suffix itself, or a name that
// embeds ip, its own address (not checked for the zero ip).
func Domain(host string, ip netip.Addr) (string, bool) {
	host, err := Normalize(host)
	if err != nil {
		return "", false
	}
	return organisation(host, ip.Unmap())
}

// organisation is Domain for a normalised name, or for "".
func organisation(host string, ip netip.Addr) (string, bool) {
	if host == "" {
		return "", false
	}
	suffix, _ := publicsuffix.PublicSuffix(host)
	end := len(host) - len(suffix) - 1
	if end <= 0 {
		return "", false
	}
	start := strings.LastIndexByte(host[:end], '.') + 1
	if embeds(host[:end], start, ip) {
		return "", false
	}
	return host[start:], true
}
