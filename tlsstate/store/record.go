package store

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"

	"tlsratchet/tlsstate"
)

// A key is the kind as one byte and the name. A value is the record of
// [tlsstate.History.AppendBinary], which has a checksum of its own, and the
// CRC-32C of the key: else a flipped bit in a key would give one peer's history
// to another.

const keySum = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// entry is one identity, its history and the network that it was first learned
// from.
type entry struct {
	id   tlsstate.Identity
	h    tlsstate.History
	from network
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

func parseKey(key []byte) (tlsstate.Identity, error) {
	if len(key) < 2 || key[0] == 0 || len(key) > 1+tlsstate.MaxName {
		return tlsstate.Identity{}, fmt.Errorf("%w: a key of %d bytes", ErrDamaged, len(key))
	}
	return tlsstate.Identity{Kind: tlsstate.Kind(key[0]), Name: string(key[1:])}, nil
}

func appendValue(b, key []byte, h tlsstate.History) []byte {
	b, _ = h.AppendBinary(b) // never fails
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(key, castagnoli))
}

// parseValue returns the history under a key. Its error wraps those of
// [tlsstate.Decode].
func parseValue(key, value []byte) (tlsstate.History, error) {
	n := len(value) - keySum
	if n < 0 || binary.LittleEndian.Uint32(value[n:]) != crc32.Checksum(key, castagnoli) {
		return tlsstate.History{}, fmt.Errorf("%w: not this key's", tlsstate.ErrDamaged)
	}
	return tlsstate.Decode(value[:n])
}
