package tlsstate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// The record on disk and on the wire, little-endian:
//
//	version 1 | present 3 | epoch 2 | first 2 | last 2 | fields … | CRC-32C 4
//
// present has a bit for each field below that is not zero; the others are left
// out. A field is a word of 8 bytes, a pin of 6, a certificate of 10, or a name
// of 3 and its text. That is 14 bytes for nothing, about 80 for an address that
// always uses TLS, and 160 for a domain of which everything is known.

// RecordVersion is the version that [History.AppendBinary] writes.
const RecordVersion = 1

// MaxRecord is the length of the longest record, in bytes.
const MaxRecord = recordHead + (words-unnamedWords)*8 + pins*6 + 10 + 3 + maxName + recordSum

const (
	recordHead = 10
	recordSum  = 4
	words      = 14
	pins       = 4
	// unnamedWords are those that a history with a name doesn't have.
	unnamedWords = 4

	certBit = words + pins
	nameBit = certBit + 1
)

// Errors of [Decode]. A record that is damaged is lost: treat the peer as new
// and count it. One from a newer version is intact: leave it alone.
var (
	ErrDamaged      = errors.New("damaged record")
	ErrNewerVersion = errors.New("record of a newer version")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (h *History) words() [words]*uint64 {
	return [words]*uint64{
		&h.Seen[Plaintext], &h.Seen[Weak], &h.Seen[TLS12], &h.Seen[TLS13],
		&h.WeekTLS, &h.WeekPlain, &h.CertDays, &h.NoCertDays,
		(*uint64)(&h.Networks), (*uint64)(&h.Addresses), (*uint64)(&h.Bare), (*uint64)(&h.Named),
		(*uint64)(&h.HostNames), (*uint64)(&h.Senders),
	}
}

func (h *History) pins() [pins]*Pin {
	return [pins]*Pin{&h.Pins[0], &h.Pins[1], &h.Pins[2], &h.CertPin}
}

// AppendBinary appends the record of h to b. It never fails; the error is
// there for [encoding.BinaryAppender].
func (h History) AppendBinary(b []byte) ([]byte, error) {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	for _, n := range []uint16{h.Epoch, uint16(h.First), uint16(h.Last)} {
		b = binary.LittleEndian.AppendUint16(b, n)
	}
	var present uint32
	for i, w := range h.words() {
		if *w != 0 {
			present |= 1 << i
			b = binary.LittleEndian.AppendUint64(b, *w)
		}
	}
	for i, p := range h.pins() {
		if *p != (Pin{}) {
			present |= 1 << (words + i)
			for _, d := range [...]Day{p.Formed, p.Met, p.Void} {
				b = binary.LittleEndian.AppendUint16(b, uint16(d))
			}
		}
	}
	if h.Cert != (Certificate{}) {
		present |= 1 << certBit
		b = binary.LittleEndian.AppendUint16(b, uint16(h.Cert.Since))
		b = binary.LittleEndian.AppendUint64(b, h.Cert.Mark)
	}
	if h.Name != (Name{}) {
		present |= 1 << nameBit
		b = binary.LittleEndian.AppendUint16(b, uint16(h.Name.Day))
		b = append(append(b, byte(len(h.Name.Text))), h.Name.Text...)
	}
	binary.LittleEndian.PutUint32(b[start:], present<<8|RecordVersion)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli)), nil
}

// Decode is the inverse of [History.AppendBinary]. Whatever the bytes, it
// returns a history that [History.Valid] accepts, or an error that wraps
// [ErrDamaged] or [ErrNewerVersion].
func Decode(b []byte) (History, error) {
	if len(b) < recordHead+recordSum {
		return History{}, fmt.Errorf("%w: %d bytes", ErrDamaged, len(b))
	}
	body, sum := b[:len(b)-recordSum], binary.LittleEndian.Uint32(b[len(b)-recordSum:])
	if crc32.Checksum(body, castagnoli) != sum {
		return History{}, fmt.Errorf("%w: wrong checksum", ErrDamaged)
	}
	if body[0] > RecordVersion {
		return History{}, fmt.Errorf("%w: %d, this is %d", ErrNewerVersion, body[0], RecordVersion)
	}
	h, err := decodeBody(body)
	if err != nil {
		return History{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return h, nil
}

func decodeBody(b []byte) (History, error) {
	present := binary.LittleEndian.Uint32(b) >> 8
	f := fields{rest: b[4:]}
	h := History{Epoch: uint16(f.day()), First: f.day(), Last: f.day()}
	for i, w := range h.words() {
		if present&(1<<i) != 0 {
			*w = f.word()
		}
	}
	for i, p := range h.pins() {
		if present&(1<<(words+i)) != 0 {
			*p = Pin{Formed: f.day(), Met: f.day(), Void: f.day()}
		}
	}
	if present&(1<<certBit) != 0 {
		h.Cert = Certificate{Since: f.day(), Mark: f.word()}
	}
	if present&(1<<nameBit) != 0 {
		h.Name = Name{Day: f.day(), Text: f.text()}
	}
	if b[0] != RecordVersion || f.short || len(f.rest) != 0 || present>>(nameBit+1) != 0 {
		return h, errors.New("not in the form of its version")
	}
	return h, h.Valid()
}

// fields are what is left of a record. What is missing is zero, and noted.
type fields struct {
	rest  []byte
	short bool
}

func (f *fields) next(n int) []byte {
	if len(f.rest) < n {
		f.rest, f.short = make([]byte, n), true
	}
	field := f.rest[:n]
	f.rest = f.rest[n:]
	return field
}

func (f *fields) day() Day     { return Day(binary.LittleEndian.Uint16(f.next(2))) }
func (f *fields) word() uint64 { return binary.LittleEndian.Uint64(f.next(8)) }
func (f *fields) text() string { return string(f.next(int(f.next(1)[0]))) }

// Valid reports whether sessions and operators could have made this history.
// [Merge] of valid histories is valid.
func (h History) Valid() error {
	seen := h.Seen[Plaintext] | h.Seen[Weak] | h.Seen[TLS12] | h.Seen[TLS13]
	switch {
	case (h.First == 0) != (h.Last == 0) || h.First > h.Last:
		return fmt.Errorf("first day %s, last day %s", h.First, h.Last)
	case (seen&1 == 1) != (h.Last != 0) || (h.WeekTLS|h.WeekPlain)&1 != seen&1:
		return errors.New("nothing was seen on the last day")
	case newest(seen, h.Last.sub(h.First)+1) != seen:
		return errors.New("seen before the first day")
	case newest(h.WeekTLS|h.WeekPlain, h.Last.week()-h.First.week()+1) != h.WeekTLS|h.WeekPlain:
		return errors.New("seen before the first week")
	case (h.CertDays|h.NoCertDays)&^(seen&^h.onlyPlaintext()) != 0:
		return errors.New("a certificate on a day without TLS")
	}
	if err := h.validNames(); err != nil {
		return err
	}
	for _, p := range h.pins() {
		if p.Formed > h.Last || p.Met > h.Last {
			return fmt.Errorf("a pin of %s, later than the last day", max(p.Formed, p.Met))
		}
	}
	return nil
}

// validNames checks the certificate and the name.
func (h *History) validNames() error {
	switch {
	case (h.Cert.Since == 0) != (h.Cert.Mark == 0) || h.Cert.Since > h.Last:
		return fmt.Errorf("a certificate since %s", h.Cert.Since)
	case h.Name.Day > h.Last:
		return fmt.Errorf("a name of %s, later than the last day", h.Name.Day)
	case h.Name.Text == "":
		if h.Name.Day != 0 {
			return errors.New("an empty name")
		}
		return nil
	case len(h.Name.Text) > maxName:
		return fmt.Errorf("a name of %d bytes", len(h.Name.Text))
	case h.Networks|h.Named|h.HostNames|Sketch(h.Senders) != 0:
		return errors.New("a name beside the marks of a domain")
	}
	return checkName(h.Name.Text)
}

// onlyPlaintext is the days on which no TLS was seen.
func (h *History) onlyPlaintext() days {
	return h.Seen[Plaintext] &^ (h.Seen[Weak] | h.Seen[TLS12] | h.Seen[TLS13])
}
