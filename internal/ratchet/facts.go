package ratchet

import (
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
	return Session{
		Security: tlsstate.Security{
			Level:       tlsstate.LevelOf(f.Version, f.Cipher),
			Protocol:    f.Version,
			Cipher:      f.Cipher,
			Bits:        bits,
			Certificate: f.Subject != "",
			CertMark:    f.certMark(),
		},
		Fingerprints:  f.Fingerprints,
		Peer:          p,
		Authenticated: f.AuthType != "" || f.AuthUser != "",
	}, nil
}

// certMark names the client certificate; 0 if there is none.
func (f *Facts) certMark() uint64 {
	if f.Subject == "" {
		return 0
	}
	return tlsstate.CertificateMark(f.Issuer, f.Subject)
}
