package tlsstate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// Certificate is the client certificate that a pin is on. It stays the first
// that came until that is released or an operator drops the pin.
type Certificate struct {
	// Since is the day it came first, Mark its [CertificateMark].
	Since Day
	Mark  uint64
}

// CertificateMark returns what a certificate is remembered by: a hash of its
// issuer and subject, which stay when it is renewed. It is even and never 0.
func CertificateMark(issuer, subject string) uint64 {
	return max(hash(issuer+"\x00"+subject)&^1, 2)
}

// KeyMark returns what a certificate is remembered by where that is the
// fingerprint of its public key. It is odd.
func KeyMark(fingerprint string) uint64 { return hash(fingerprint) | 1 }

func hash(s string) uint64 {
	sum := sha256.Sum256([]byte(s))
	return binary.BigEndian.Uint64(sum[:])
}

// by reports whether the certificate is remembered in that way. One that is
// known from logs alone may be either.
func (c Certificate) by(p CertPins) bool {
	return p != CertOff && (c.Mark == 0 || CertPins(c.Mark&1) == p)
}

// Fingerprint returns a fingerprint as Postfix writes it: pairs of upper-case
// hexadecimal digits with colons between them. It accepts lower case, and digits
// without colons, of 128 to 512 bits. ok is false for everything else.
func Fingerprint(s string) (fingerprint string, ok bool) {
	digits := strings.ToUpper(strings.ReplaceAll(s, ":", ""))
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) < 16 || len(b) > 64 {
		return "", false
	}
	fingerprint = strings.ReplaceAll(fmt.Sprintf("% X", b), " ", ":")
	return fingerprint, len(s) == len(digits) || strings.EqualFold(s, fingerprint)
}

// join keeps the later one, and of two of a day the greater mark.
func (c Certificate) join(d Certificate) Certificate {
	if c.Since < d.Since || c.Since == d.Since && c.Mark < d.Mark {
		return d
	}
	return c
}
