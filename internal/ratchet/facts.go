package ratchet

import (
	"slices"
	"strconv"

	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

// Facts are what Postfix states of a session, as it came: not clean, and empty
// where it states nothing. Milter macros and attributes of policy delegation
// become the same facts.
type Facts struct {
	Client peer.Client
	// Version, Cipher and Bits are those of the TLS session; all empty in clear.
	Version, Cipher, Bits string
	// Subject and Issuer are the names in a client certificate that Postfix
	// trusts.
	Subject, Issuer string
	// Fingerprints are those of its certificate, trusted or not.
	Fingerprints Fingerprints
	// AuthType and AuthUser are those of a client that logged in with SASL.
	AuthType, AuthUser string
}

// Session returns the session that the facts are of; At and From are the
// message's own. An error wraps [peer.ErrNoAddress]: the TLS state is unknown
// then, which is never plaintext.
func (f *Facts) Session() (Session, error) {
	p, err := peer.Identify(f.Client)
	if err != nil {
		return Session{}, err
	}
	bits, _ := strconv.Atoi(f.Bits) // shown, never compared
	var mark uint64
	if f.Subject != "" {
		mark = tlsstate.CertificateMark(f.Issuer, f.Subject)
	}
	return Session{
		Security: tlsstate.Security{
			Level:       tlsstate.LevelOf(f.Version, f.Cipher),
			Protocol:    f.Version,
			Cipher:      f.Cipher,
			Bits:        bits,
			Certificate: f.Subject != "",
			CertMark:    mark,
		},
		Fingerprints:  f.Fingerprints,
		Peer:          p,
		Authenticated: f.AuthType != "" || f.AuthUser != "",
	}, nil
}

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
