package peer

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// embeds6 looks for either half of the address as 16 hex digits, forwards or by
// nibbles backwards as in ip6.arpa (RFC 3596 section 2.5), whatever separates
// them; and for its groups without leading zeros, as in 2001-db8-0-1--1.
func embeds6(name string, ip [16]byte) bool {
	var back [16]byte
	for i, b := range ip {
		back[15-i] = b<<4 | b>>4
	}
	var text [maxHost]byte
	digits := joined(text[:0], name)
	if holdsHex(digits, ip[:8]) || holdsHex(digits, ip[8:]) || holdsHex(digits, back[:8]) || holdsHex(digits, back[8:]) {
		return true
	}
	var want [8]uint16
	for i := range want {
		want[i] = binary.BigEndian.Uint16(ip[2*i:])
	}
	var buf [maxGroups]group
	row := scanGroups(name, buf[:0])
	for i := range row {
		for at := range want {
			if matchGroups(row[i:], &want, at) {
				return true
			}
		}
	}
	return false
}

// maxGroups bounds the work on one name; who writes nibbles needs 32.
const maxGroups = 32

// group is a run of one to four hex digits in a name.
type group struct {
	v uint16
	// gap is how many separators stand between it and the group before it;
	// 0 when anything else does.
	gap int
}

// scanGroups appends the groups of a name, as many as there is room for.
func scanGroups(name string, row []group) []group {
	long := false // the run before was too long for a group
	for before, run := range runs(name, isHex) {
		gap := len(before)
		if long || strings.Trim(before, separators) != "" {
			gap = 0
		}
		if long = len(run) > 4; !long && len(row) < cap(row) {
			v, _ := strconv.ParseUint(run, 16, 16) // has four digits at most
			row = append(row, group{uint16(v), gap})
		}
	}
	return row
}

// matchGroups reports whether a row starts with the groups of want from one place
// on: three that don't all look like small numbers, or with "--" for zeros all
// of them. The first two alone are only the provider's.
func matchGroups(row []group, want *[8]uint16, at int) bool {
	if row[0].v != want[at] {
		return false
	}
	large, k, n := row[0].v > 0xff, at, 1
	for _, g := range row[1:] {
		if g.gap == 0 || k == 7 {
			break
		}
		k++
		for g.gap > 1 && k < 7 && want[k] == 0 && g.v != 0 {
			k++
		}
		if g.v != want[k] {
			break
		}
		large = large || g.v > 0xff
		n++
		if n >= 3 && large || n >= 2 && at == 0 && k == 7 {
			return true
		}
	}
	return false
}
