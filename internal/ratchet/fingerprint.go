package ratchet

import (
	"slices"

	"tlsratchet/tlsstate"
)

// Fingerprints are those of a client's certificate, as Postfix writes them. A
// milter never gets them.
type Fingerprints struct {
	// Known reports whether Postfix states them: empty ones are no certificate
	// then.
	Known bool
	// Certificate and Key are those of the certificate and of its public key.
	Certificate, Key string
}

func (f *Fingerprints) isIn(list []string) bool {
	return slices.Contains(list, f.Certificate) || slices.Contains(list, f.Key)
}

// certify sets what the certificate of the session means under a rule. One that
// a row of fingerprints settles is nothing that memory is held against.
func (s *Session) certify(rule *tlsstate.Policy) {
	f := &s.Fingerprints
	s.CertUnknown, s.CertWrong = false, false
	switch {
	case len(rule.Fingerprints) > 0:
		s.CertUnknown, s.Certificate = true, f.isIn(rule.Fingerprints)
		s.CertWrong = f.Known && !s.Certificate
	case rule.PinCertificates == tlsstate.CertByKey:
		s.CertUnknown, s.Certificate, s.CertMark = !f.Known, f.Key != "", tlsstate.KeyMark(f.Key)
	}
}
