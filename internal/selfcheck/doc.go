// Package selfcheck tries our own STARTTLS as a peer would (RFC 3207): it
// connects to our MX, asks for TLS, looks at the certificate and leaves.
//
// If our own certificate breaks, every peer comes in clear, and that looks like
// many downgrades at once. This reports it
// before the peers do, and shows the circuit breaker whether many downgrades
// at once are our own fault.
package selfcheck
