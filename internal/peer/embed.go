package peer

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"iter"
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

const separators = "-._"

func isDecimal(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDecimal(c) || c >= 'a' && c <= 'f' }

// runs yields the runs of digits in a name, each after what stands before it.
func runs(name string, isDigit func(byte) bool) iter.Seq2[string, string] {
	return func(yield func(before, run string) bool) {
		for begin, end := 0, 0; ; begin = end {
			at := end
			for at < len(name) && !isDigit(name[at]) {
				at++
			}
			for end = at; end < len(name) && isDigit(name[end]); end++ {
			}
			if at == end || !yield(name[begin:at], name[at:end]) {
				return
			}
		}
	}
}

// joined appends a name without its separators.
func joined(b []byte, name string) []byte {
	for i := range len(name) {
		if c := name[i]; c != '-' && c != '.' && c != '_' {
			b = append(b, c)
		}
	}
	return b
}

// holdsHex reports whether a joined name holds bytes as hex digits.
func holdsHex(name, b []byte) bool {
	var buf [16]byte
	return bytes.Contains(name, hex.AppendEncode(buf[:0], b))
}

// embeds4 looks for the octets in decimal, forwards and backwards, separated or
// padded with zeros to three digits; for the whole address as 8 hex digits; and
// for it as one decimal number.
func embeds4(name string, org int, ip [4]byte) bool {
	back := [...]byte{ip[3], ip[2], ip[1], ip[0]}
	fwd, rev := binary.BigEndian.Uint32(ip[:]), binary.BigEndian.Uint32(back[:])
	var buf [2 * maxHost]byte
	if digits := joined(buf[:0], name); holdsHex(digits, ip[:]) || holdsHex(digits, back[:]) {
		return true
	}
	for _, run := range runs(name, isDecimal) {
		if n, err := strconv.ParseUint(run, 10, 32); err == nil && len(run) >= 8 && (uint32(n) == fwd || uint32(n) == rev) {
			return true
		}
	}
	rows, longest := appendRows(buf[:0], name)
	if longest < 2 { // as nearly always
		return false
	}
	if holdsRow(rows, ip[:3]) || holdsRow(rows, ip[1:]) || holdsRow(rows, back[:3]) || holdsRow(rows, back[1:]) {
		return true
	}
	rows, _ = appendRows(buf[:0], name[:org])
	for i := range 3 {
		if holdsRow(rows, ip[i:i+2]) || holdsRow(rows, back[i:i+2]) {
			return customer(name[:org])
		}
	}
	return false
}

// appendRows appends the decimal octets of a name: ".1.2.", with a slash where a
// row ends. An x separates too: names like 192x0x2x10 are in use. Long runs are
// octets only if padded to three digits each: o1678924x145 and o168245100x5 are
// SendGrid's. longest is how many octets the longest row has.
func appendRows(rows []byte, name string) (_ []byte, longest int) {
	rows = append(rows, '.')
	n := 0
	for before, run := range runs(name, isDecimal) {
		if strings.Trim(before, separators+"x") != "" {
			rows, n = append(rows, "/."...), 0
		}
		unpadded := len(run) == 9 && run[0] != '0' && run[3] != '0' && run[6] != '0'
		if len(run) > 3 && (len(run)%3 != 0 || len(run) > 12 || unpadded) {
			rows, n = append(rows, "/."...), 0
			continue
		}
		for ; run != ""; run = run[min(3, len(run)):] {
			octet, err := strconv.ParseUint(run[:min(3, len(run))], 10, 8)
			if err != nil {
				rows, n = append(rows, "/."...), 0
				continue
			}
			rows = append(strconv.AppendUint(rows, octet, 10), '.')
			n++
			longest = max(longest, n)
		}
	}
	return rows, longest
}

// holdsRow reports whether octets follow each other in one of the rows.
func holdsRow(rows, octets []byte) bool {
	var buf [16]byte
	row := append(buf[:0], '.')
	for _, o := range octets {
		row = append(strconv.AppendUint(row, uint64(o), 10), '.')
	}
	return bytes.Contains(rows, row)
}

// customer reports whether one of the words of a name (letters between anything
// else) is what providers call their customers' lines and hosts.
func customer(name string) bool {
	for _, part := range [...]string{"dsl", "dyn", "dhcp", "dial", "ppp", "pool", "cable", "static", "broadband",
		"custom", "residen", "wireless"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return r < 'a' || r > 'z' }) {
		switch word {
		case "ip", "ips", "host", "hosts", "cust", "client", "clients", "user", "users", "cpe", "sta", "stat", "bb",
			"cm", "catv", "ftth", "fttx", "fttb", "gpon", "fiber", "fibre", "fios", "modem", "wifi", "wlan", "wimax",
			"mobile", "gprs", "umts", "lte", "nat", "cgn", "cgnat", "home", "res", "rev", "reverse", "dip", "hsi",
			"node", "vps", "vm", "kabel", "red", "abo", "lan", "subs", "subscriber", "unassigned", "ec":
			return true
		}
	}
	return false
}
