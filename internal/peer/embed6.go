package peer

import (
	"encoding/binary"
	"math/bits"
)

// embeds6 looks for either half of the address as 16 hex digits, forwards or by
// nibbles backwards as in ip6.arpa (RFC 3596 section 2.5), whatever separates
// them; and for its groups without leading zeros, as in 2001-db8-0-1--1.
func embeds6(name string, ip [16]byte) bool {
	hi, lo := binary.BigEndian.Uint64(ip[:8]), binary.BigEndian.Uint64(ip[8:])
	if hexWindow(name, 16, hi, reverseNibbles(hi)) || hexWindow(name, 16, lo, reverseNibbles(lo)) {
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

// scanGroups appends the groups of a name.
func scanGroups(name string, row []group) []group {
	gap := 0
	for i := 0; i < len(name) && len(row) < cap(row); {
		h, ok := hexDigit(name[i])
		if !ok {
			gap = widen(gap, name[i])
			i++
			continue
		}
		v, j := uint64(h), i+1
		for ; j < len(name); j++ {
			if h, ok = hexDigit(name[j]); !ok {
				break
			}
			v = v<<4 | uint64(h)
		}
		if j-i <= 4 {
			row = append(row, group{v: uint16(v), gap: max(gap, 0)})
			gap = 0
		} else {
			gap = broken
		}
		i = j
	}
	return row
}

// broken is the width of a gap that holds more than separators.
const broken = -1

// widen returns the width of a gap after one character more.
func widen(gap int, c byte) int {
	if gap == broken || c != '-' && c != '.' && c != '_' {
		return broken
	}
	return gap + 1
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

// reverseNibbles returns v with its hex digits in the opposite order.
func reverseNibbles(v uint64) uint64 {
	v = bits.ReverseBytes64(v)
	return v>>4&0x0f0f0f0f0f0f0f0f | v&0x0f0f0f0f0f0f0f0f<<4
}
