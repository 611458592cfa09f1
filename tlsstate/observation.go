package tlsstate

// Security is what one session used. Its texts are the peer's or Postfix's and
// not clean.
type Security struct {
	Level Level
	// Protocol, Cipher and Bits are Postfix's {tls_version}, {cipher} and
	// {cipher_bits}; empty and 0 in clear.
	Protocol string
	Cipher   string
	Bits     int
	// Certificate reports that the client showed a certificate: one that Postfix
	// trusts, or with [CertByKey] any.
	Certificate bool
	// CertMark names that certificate: see [CertificateMark] and [KeyMark]. 0 if
	// all that is known is that there was one, as from a log.
	CertMark uint64
	// CertUnknown reports that nothing is known of the certificate that the pin
	// is on. CertWrong reports that the client showed none of the fingerprints of
	// [Policy.Fingerprints].
	CertUnknown, CertWrong bool
}

// Observation is one session of one identity.
type Observation struct {
	// Day is the UTC day of the session.
	Day Day
	Security
	// Marks are what a domain or a network learns of the address behind it.
	Marks
	// Name is what an address or a network learns of the name that DNS
	// confirmed.
	Name Name
}

// certificate reports whether this is a session that counts for, and one that
// counts against, a pin on the certificate c. A session in clear is neither: it
// can't carry one, and whoever strips must not wear that pin out.
func (o *Observation) certificate(c Certificate) (with, without bool) {
	if o.Level == Plaintext || o.CertUnknown {
		return false, false
	}
	with = o.Certificate && (c.Mark == 0 || o.CertMark == 0 || c.Mark == o.CertMark)
	return with, !with
}
