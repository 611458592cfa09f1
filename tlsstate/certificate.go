package tlsstate

import (
	"crypto/sha256"
	"encoding/binary"
)

// Certificate is the client certificate that a pin is on. It stays the first
// that came until that is released or an operator drops the pin.
type Certificate struct {
	// Since is the day it came first, Mark its [CertificateMark].
	Since Day
	Mark  uint64
}

// CertificateMark returns what a certificate is remembered by: a hash of its
// issuer and subject, which stay when it is renewed. It is never 0.
func CertificateMark(issuer, subject string) uint64 {
	sum := sha256.Sum256([]byte(issuer + "\x00" + subject))
	return max(binary.BigEndian.Uint64(sum[:]), 1)
}

// join keeps the later one, and of two of a day the greater mark.
func (c Certificate) join(d Certificate) Certificate {
	if c.Since < d.Since || c.Since == d.Since && c.Mark < d.Mark {
		return d
	}
	return c
}
