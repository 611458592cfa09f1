package peer

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// embeds reports whether a name (lower case, without its public suffix) holds
// the address. Names that do are those of customers and cloud hosts.
//
// A miss pools strangers into one domain; a false find costs a peer its domain
// identity and no more. But big providers number their hosts by the last octet
// or two (a27-18.smtp-out.us-west-2.amazonses.com is 54.240.27.18). So three
// octets in a row are proof, wherever they stand (ns1.ip-192-0-2.eu too); two
// need a word that customers' names have, both left of org, the start of the
// organisational domain; one is nothing.
func embeds(name string, org int, ip netip.Addr) bool {
	switch {
	case ip.Is4():
		return embeds4(name, org, ip.As4())
	case ip.Is6():
		return embeds6(name, ip.As16())
	}
	return false
}

// embeds4 looks for the octets in decimal, forwards and backwards, separated or
// padded with zeros to three digits; for the whole address as 8 hex digits; and
// for it as one decimal number.
func embeds4(name string, org int, ip [4]byte) bool {
	fwd := binary.BigEndian.Uint32(ip[:])
	rev := bits.ReverseBytes32(fwd)
	if hexWindow(name, 8, uint64(fwd), uint64(rev)) {
		return true
	}
	row, pair := octets{ip: ip}, false
	for i := 0; i < len(name); {
		if !isDigit(name[i]) {
			row.gap(name[i])
			i++
			continue
		}
		j := i + 1
		for j < len(name) && isDigit(name[j]) {
			j++
		}
		if row.digits(name[i:j], fwd, rev) {
			return true
		}
		pair = pair || row.pair && j <= org
		i = j
	}
	return pair && customer(name[:org])
}

// octets follows the row of decimal octets that ends where a scan stands.
type octets struct {
	ip   [4]byte
	last [3]byte // the row's last octets, latest last
	n    int     // how many of last count
	pair bool    // the last two are neighbours in ip
}

// gap takes a character between numbers. An x separates too: names like
// 192x0x2x10 are in use.
func (o *octets) gap(c byte) {
	if c != '-' && c != '.' && c != '_' && c != 'x' {
		o.n = 0
	}
}

// digits takes a run of digits and reports whether the address is found. A long
// one is octets padded to three digits each, or the address as a number; never
// octets without padding: o1678924x145 and o168245100x5 are SendGrid's.
func (o *octets) digits(run string, fwd, rev uint32) bool {
	o.pair = false
	if len(run) <= 3 {
		return o.octet(run)
	}
	if n, err := strconv.ParseUint(run, 10, 32); err == nil && len(run) >= 8 {
		if uint32(n) == fwd || uint32(n) == rev {
			return true
		}
	}
	if len(run)%3 != 0 || len(run) > 12 || len(run) == 9 && !padded(run) {
		o.n = 0
		return false
	}
	for ; run != ""; run = run[3:] {
		if o.octet(run[:3]) {
			return true
		}
	}
	return false
}

// padded reports whether one of the run's groups of three starts with a zero.
func padded(run string) bool {
	for i := 0; i < len(run); i += 3 {
		if run[i] == '0' {
			return true
		}
	}
	return false
}

// octet takes one number of at most three digits.
func (o *octets) octet(digits string) bool {
	v := 0
	for i := range len(digits) {
		v = v*10 + int(digits[i]-'0')
	}
	o.pair = false
	if v > 255 {
		o.n = 0
		return false
	}
	o.last = [3]byte{o.last[1], o.last[2], byte(v)}
	o.n++
	return o.match()
}

// match looks for the row in the address, forwards and backwards.
func (o *octets) match() bool {
	if o.n < 2 {
		return false
	}
	a, b, c := o.last[0], o.last[1], o.last[2]
	// Equal octets can match both ways at one place: try both.
	for i := range 3 {
		fwd := o.ip[i] == b && o.ip[i+1] == c
		rev := o.ip[i] == c && o.ip[i+1] == b
		o.pair = o.pair || fwd || rev
		if o.n < 3 {
			continue
		}
		if fwd && i > 0 && o.ip[i-1] == a || rev && i < 2 && o.ip[i+2] == a {
			return true
		}
	}
	return false
}

// hexWindow reports whether the name, leaving separators out, holds one of two
// values as that many hex digits.
func hexWindow(name string, digits int, fwd, rev uint64) bool {
	mask := ^uint64(0) >> (64 - 4*digits)
	var v uint64
	n := 0
	for i := range len(name) {
		c := name[i]
		if c == '-' || c == '.' || c == '_' {
			continue
		}
		h, ok := hexDigit(c)
		if !ok {
			n = 0
			continue
		}
		v = v<<4 | uint64(h)
		if n++; n >= digits && (v&mask == fwd || v&mask == rev) {
			return true
		}
	}
	return false
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case isDigit(c):
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// customer reports whether one of the words of a name (letters between anything
// else) is what providers call their customers' lines and hosts.
func customer(name string) bool {
	notLetter := func(r rune) bool { return r < 'a' || r > 'z' }
	for word := range strings.FieldsFuncSeq(name, notLetter) {
		if customerWord(word) {
			return true
		}
	}
	return false
}

func customerWord(word string) bool {
	switch word {
	case "ip", "ips", "host", "hosts", "cust", "client", "clients", "user", "users", "cpe", "sta", "stat", "bb",
		"cm", "catv", "ftth", "fttx", "fttb", "gpon", "fiber", "fibre", "fios", "modem", "wifi", "wlan", "wimax",
		"mobile", "gprs", "umts", "lte", "nat", "cgn", "cgnat", "home", "res", "rev", "reverse", "dip", "hsi",
		"node", "vps", "vm", "kabel", "red", "abo", "lan", "subs", "subscriber", "unassigned", "ec":
		return true
	}
	for _, part := range [...]string{"dsl", "dyn", "dhcp", "dial", "ppp", "pool", "cable", "static", "broadband",
		"custom", "residen", "wireless"} {
		if strings.Contains(word, part) {
			return true
		}
	}
	return false
}
