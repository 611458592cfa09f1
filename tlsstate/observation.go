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
	// Certificate tells that the client showed a certificate that Postfix
	// trusts ({cert_subject} is set).
	Certificate bool
}

// Observation is one session of one identity.
type Observation struct {
	// Day is the UTC day of the session.
	Day Day
	Security
	// Networks and Addresses are what a domain learns of the address behind
	// it when that address holds a pin of its own; see [Mark].
	Networks  Sketch
	Addresses Sketch
}

// certificate tells whether this is a session that counts for, and one that
// counts against, a pin on the certificate. A session in clear is neither: it
// can't carry one, and whoever strips must not wear that pin out.
func (o Observation) certificate() (with, without bool) {
	encrypted := o.Level > Plaintext
	return encrypted && o.Certificate, encrypted && !o.Certificate
}
