package spf

import (
	"net/netip"
	"strings"

	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

// maxLocal is the longest local part that SPF's macros are made of. RFC 5321 section
// 4.5.3.1 allows 64; Postfix sets no limit to it, nor to a source route.
const maxLocal = 128

// Claim is the identity that a session claims, before any proof.
type Claim struct {
	// Identity is of the kind sender.
	Identity tlsstate.Identity
	// Known reports whether the memory has a history under Identity, so that it was
	// proven before: strangers can't use up what it may ask of DNS. The caller
	// sets it.
	Known bool

	ip     netip.Addr
	domain string // of MAIL FROM, normalised
	local  string // as it came
}

// ClaimOf returns what a client claims with the argument of its MAIL command, as
// it came: with or without angle brackets, source route, any case, a trailing
// dot, UTF-8. It asks no DNS, and is cheap. There is no claim for the null
// sender, for a sender without a domain of two labels, and for what is no name.
func ClaimOf(p *peer.Peer, from string) (c Claim, ok bool) {
	c.local, c.domain, ok = splitPath(from)
	if !ok || !p.IP.IsValid() {
		return Claim{}, false
	}
	c.ip = p.IP
	client := p.Domain.Name
	if client == "" {
		client = p.NetworkID().Name
	}
	c.Identity = tlsstate.Identity{Kind: tlsstate.Sender, Name: c.domain + "/" + client}
	return c, true
}

// DomainOf returns the domain of a MAIL argument, in lower-case A-labels, or ""
// where it has none: the null sender.
func DomainOf(path string) string {
	_, domain, _ := splitPath(path)
	return domain
}

// splitPath takes a MAIL argument apart.
func splitPath(path string) (local, domain string, ok bool) {
	path = rewritten(strings.TrimRight(dequoted(peer.Address(path)), ",;"))
	at := strings.LastIndexByte(path, '@')
	if at <= 0 {
		return "", "", false
	}
	domain, err := peer.Normalize(strings.ReplaceAll(path[at+1:], string(quote), ""))
	if err != nil || !strings.Contains(domain, ".") { // RFC 7208 section 4.3
		return "", "", false
	}
	return path[:at], domain, true
}

// What stands for a quote, and for characters that have no meaning because they are
// quoted: bytes that no name and no plain local part has.
const quote = '\x05'

var show = strings.NewReplacer("\x01", "@", "\x02", "!", "\x03", "%", "\x04", ":")

// dequoted returns an address in which only what has a meaning looks like it.
func dequoted(address string) string {
	if !strings.ContainsAny(address, `"\`) {
		return address
	}
	plain, quoted := make([]byte, 0, len(address)), false
	for i := 0; i < len(address); i++ {
		hidden := quoted
		switch c := address[i]; {
		case c == '"':
			quoted = !quoted
			plain = append(plain, quote)
			continue
		case c == '\\' && i+1 < len(address):
			hidden = true
			i++
		}
		c := address[i]
		if n := strings.IndexByte("@!%:", c); hidden && n >= 0 {
			c = byte(n + 1)
		}
		plain = append(plain, c)
	}
	return string(plain)
}

// rewritten returns an address as Postfix reads it and, where it has no domain, by its
// defaults rewrites it: without the source route or the name of a group before it;
// site!user (swap_bangpath) and user%domain (allow_percent_hack) as user@domain; and
// all that once more without quotes (resolve_dequoted_address).
func rewritten(path string) string {
	if _, member, ok := strings.Cut(path, ":"); ok {
		path = member
	}
	for range 2 {
		if strings.Contains(path, "@") {
			return path
		}
		if site, user, ok := strings.Cut(path, "!"); ok {
			return user + "@" + site
		}
		if at := strings.LastIndexByte(path, '%'); at >= 0 {
			return path[:at] + "@" + path[at+1:]
		}
		path = show.Replace(path)
	}
	return path
}

// sender returns the address that SPF's macros are made of. A local part that
// is quoted or not ASCII becomes a byte that no name has: what looks at it
// matches nothing (RFC 8616 section 4).
func (c *Claim) sender() string {
	const matchesNothing = "\x7f"
	local := c.local
	if len(local) > maxLocal || !plain(local) {
		local = matchesNothing
	}
	return local + "@" + c.domain
}

func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '@' {
			return false
		}
	}
	return true
}

// flipped returns an address that shares all but the last bit of the widest
// range that proves anything: /16, or /32 of IPv6.
func flipped(ip netip.Addr) netip.Addr {
	if ip.Is4() {
		b := ip.As4()
		b[1] ^= 1
		return netip.AddrFrom4(b)
	}
	b := ip.As16()
	b[3] ^= 1
	return netip.AddrFrom16(b)
}
