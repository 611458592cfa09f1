// Package selfcheck tries our own STARTTLS as a peer would (RFC 3207): it
// connects to our MX, asks for TLS, looks at the certificate and leaves.
//
// The worst day of a memory for downgrades is not an attacker's: it is the day
// that our own certificate breaks and every peer comes in clear. This reports it
// before the peers do, and lets the circuit breaker know whose fault it is when
// many downgrade together.
package selfcheck
