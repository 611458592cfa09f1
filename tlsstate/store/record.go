package store

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/netip"
	"strings"

	"tlsratchet/tlsstate"
)

// A key is the kind as one byte and the name. A value is the record of
// [tlsstate.History.AppendBinary], which has a checksum of its own, the network
// that a domain or sender was first learned from (8 bytes, little-endian), and
// the CRC-32C of key and network: else a flipped bit in a key would give one
// peer's history to another.

const (
	valueSum  = 4
	valueTail = 8 + valueSum
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// entry is one identity, its history and the network that it was first learned
// from.
type entry struct {
	id   tlsstate.Identity
	h    tlsstate.History
	from network
}

// gone reports whether the entry is for an identity without a history.
func (e *entry) gone() bool { return e.h == tlsstate.History{} }

// network returns where the identity is counted: an address or a network where
// it is.
func (e *entry) network() network {
	if e.id.Kind != tlsstate.Address && e.id.Kind != tlsstate.Network {
		return e.from
	}
	text, _, _ := strings.Cut(e.id.Name, "/")
	ip, _ := netip.ParseAddr(text) // the zero Addr on an error
	return networkOf(ip)
}

func byIdentity(a, b entry) int { return compare(a.id, b.id) }

// compare orders identities as their keys are ordered in the file.
func compare(a, b tlsstate.Identity) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
}

func checkIdentity(id tlsstate.Identity) error {
	if id.Kind == 0 || id.Name == "" || len(id.Name) > tlsstate.MaxName {
		return fmt.Errorf("%w identity: kind %d, name of %d bytes", ErrInvalid, id.Kind, len(id.Name))
	}
	return nil
}

func appendKey(b []byte, id tlsstate.Identity) []byte {
	return append(append(b, byte(id.Kind)), id.Name...)
}

// isKey reports whether a key is that of an identity.
func isKey(key []byte) bool { return len(key) > 1 && len(key) <= 1+tlsstate.MaxName && key[0] != 0 }

func parseKey(key []byte) tlsstate.Identity {
	return tlsstate.Identity{Kind: tlsstate.Kind(key[0]), Name: string(key[1:])}
}

func appendValue(b, key []byte, h tlsstate.History, from network) []byte {
	b, _ = h.AppendBinary(b) // never fails
	b = binary.LittleEndian.AppendUint64(b, uint64(from))
	return binary.LittleEndian.AppendUint32(b, sumOf(key, b[len(b)-8:]))
}

// parseValue returns the history under a key and the network that it came from.
// Its error wraps those of [tlsstate.Decode].
func parseValue(key, value []byte) (tlsstate.History, network, error) {
	n := len(value) - valueTail
	if n < 0 {
		return tlsstate.History{}, 0, fmt.Errorf("%w: %d bytes", tlsstate.ErrDamaged, len(value))
	}
	from, sum := value[n:n+8], binary.LittleEndian.Uint32(value[n+8:])
	if sum != sumOf(key, from) {
		return tlsstate.History{}, 0, fmt.Errorf("%w: not this key's", tlsstate.ErrDamaged)
	}
	h, err := tlsstate.Decode(value[:n])
	return h, network(binary.LittleEndian.Uint64(from)), err
}

func sumOf(key, from []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, from)
}
