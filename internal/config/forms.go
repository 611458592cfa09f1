package config

import (
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"tlsratchet/internal/inbound"
	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

func parseSocketPath(s string) (string, error) {
	file, err := parsePath(s)
	if err == nil && len(file) > maxSocketPath {
		err = fmt.Errorf("a socket's path has at most %d bytes, this one %d", maxSocketPath, len(file))
	}
	return file, err
}

// parsePath wants a file by its absolute path.
func parsePath(s string) (string, error) {
	clean := path.Clean(s)
	switch {
	case !path.IsAbs(s) || clean == "/":
		return "", fmt.Errorf("path %s: want an absolute path of a file", shown(s))
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return "", fmt.Errorf("path %s: want one without control characters", shown(s))
	}
	return clean, nil
}

// or makes a form of one that also takes words. also is how its error ends.
func or(parse func(string) (string, error), also string, words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if slices.Contains(words, s) {
			return s, nil
		}
		v, err := parse(s)
		if err != nil && also != "" {
			err = fmt.Errorf("%w, %s", err, also)
		}
		return v, err
	}
}

func parseMode(s string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(s, 8, 16)
	if err != nil || n > 0o777 || n&0o600 != 0o600 {
		return 0, fmt.Errorf("unknown mode %s: want permissions in octal from \"0600\" to \"0777\", those of the owner among them", shown(s))
	}
	return fs.FileMode(n), nil
}

func showMode(m fs.FileMode) string { return fmt.Sprintf("%04o", uint32(m)) }

func parseGroup(s string) (string, error) {
	if len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' || r == '/' }) {
		return "", fmt.Errorf("group %s: want the name or number of a group, or \"\"", shown(s))
	}
	return s, nil
}

func logLevel() form[slog.Level] {
	name := func(l slog.Level) string { return strings.ToLower(l.String()) }
	return named("level", name, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError)
}

// parseLevel parses a level that a peer can be held to.
func parseLevel(s string) (tlsstate.Level, error) {
	l, err := tlsstate.ParseLevel(s)
	if err != nil || l == tlsstate.Plaintext {
		return 0, fmt.Errorf("unknown level %s: use weak, TLSv1.2, TLSv1.3", shown(s))
	}
	return l, nil
}

func parseNetwork(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err == nil && (p.Addr().Is4In6() || p.Bits() >= peer.Translated.Bits() && peer.Translated.Contains(p.Addr())):
		return p, fmt.Errorf("network %s: write it as IPv4", shown(s))
	case err == nil && p != p.Masked():
		return p, fmt.Errorf("network %s has bits beyond its prefix: use %s", shown(s), p.Masked())
	case err == nil:
		return p, nil
	}
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		return p, fmt.Errorf("network %s has no prefix length: use %s/%d", shown(s), addr, addr.BitLen())
	}
	return p, fmt.Errorf("unknown network %s: use the form 192.0.2.0/24 or 2001:db8::/32", shown(s))
}

func parseExemptNetwork(s string) (netip.Prefix, error) {
	p, err := parseNetwork(s)
	if err == nil && p.Bits() == 0 {
		err = fmt.Errorf("network %s exempts everybody: name your own networks", shown(s))
	}
	return p, err
}

// parseRecipient parses a local part or an address. Local parts are compared
// without case, as Postfix does for its own.
func parseRecipient(s string) (string, error) {
	local, domain := inbound.Cut(s)
	bad := local == "" || len(s) > 320 || !utf8.ValidString(s) ||
		strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune("<>,", r) })
	if bad {
		return "", fmt.Errorf("unknown recipient %s: use a local part such as postmaster, or an address", shown(s))
	}
	if !strings.Contains(s, "@") {
		return strings.ToLower(local), nil
	}
	domain, err := parseDomain(domain)
	if err != nil {
		return "", fmt.Errorf("recipient %s: %w", shown(s), err)
	}
	return strings.ToLower(local) + "@" + domain, nil
}

func parseContact(s string) (string, error) {
	if len(s) > 200 || !printable(s) {
		return "", fmt.Errorf("contact %s: want a URL or an address, printable ASCII, at most 200 characters", shown(s))
	}
	return s, nil
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// parseDomain wants a host or domain name (RFC 1123 section 2.1, and the
// underscore that is met in practice), and returns it in lower case without a
// trailing dot.
func parseDomain(s string) (string, error) {
	host, err := peer.Normalize(s)
	_, notAddr := netip.ParseAddr(strings.TrimSuffix(s, "."))
	why := "want labels of letters, digits and hyphens, as in bank.example"
	switch {
	case !printable(s):
		why = "write it in A-labels (xn--…)"
	case strings.Contains(s, "*"):
		why = "there are no wildcards, use subdomains = true"
	case notAddr == nil:
		why = "use network for an address"
	case err == nil:
		return host, nil
	}
	return "", fmt.Errorf("%s is no domain: %s", shown(s), why)
}

// parsePort reads a port of ours.
func parsePort(s string) (string, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || s[0] == '0' {
		return "", fmt.Errorf("unknown port %.60q: use a number from 1 to 65535, in quotes", s)
	}
	return s, nil
}

// systemResolver is the zero [SPF.Resolver] in words.
const systemResolver = "system"

// either names false and true.
func either(no, yes string) func(bool) string {
	return func(is bool) string {
		if is {
			return yes
		}
		return no
	}
}

// parseResolver wants an address, with or without a port: a name would have to
// be looked up first.
func parseResolver(s string) (netip.AddrPort, error) {
	if s == systemResolver {
		return netip.AddrPort{}, nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		var ip netip.Addr
		ip, err = netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
		ap = netip.AddrPortFrom(ip, 53)
	}
	if err != nil || ap.Port() == 0 || ap.Addr().IsUnspecified() || !printable(s) {
		return netip.AddrPort{}, fmt.Errorf("unknown resolver %s: use an address, as 127.0.0.1:5353 or [::1]:53, or %q", shown(s), systemResolver)
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

func showResolver(ap netip.AddrPort) string {
	if !ap.IsValid() {
		return systemResolver
	}
	return ap.String()
}

func parseFingerprint(s string) (string, error) {
	fingerprint, ok := tlsstate.Fingerprint(s)
	if !ok {
		return "", fmt.Errorf("unknown fingerprint %s: want 16 to 64 bytes as hexadecimal digits, with colons or without, as Postfix logs it", shown(s))
	}
	return fingerprint, nil
}
