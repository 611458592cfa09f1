package selfcheck

import (
	"errors"
	"fmt"
	"time"

	"tlsratchet/internal/clean"
)

// maxWords is the length, in bytes, of a description.
const maxWords = 600

// What may be wrong with STARTTLS. They are wrapped by [Result.Err].
var (
	// ErrNotOffered: the reply to EHLO has no STARTTLS.
	ErrNotOffered = errors.New("STARTTLS is not offered")
	// ErrRefused: it is offered, and refused when asked for.
	ErrRefused = errors.New("STARTTLS is refused")
	// ErrHandshake: the TLS handshake fails, or nothing comes after it.
	ErrHandshake = errors.New("the TLS handshake fails")
)

// Result is what one try found.
type Result struct {
	// At is when the try began; zero for none.
	At time.Time
	// Reachable reports whether the server answered in time: the rest is valid
	// only then.
	Reachable bool
	// Offered reports whether STARTTLS was offered, Handshake whether what was
	// sent after it was encrypted.
	Offered, Handshake bool
	// Version is the version of TLS as "TLS 1.3".
	Version string
	// CertNotBefore and CertNotAfter bound the life of the server's
	// certificate.
	CertNotBefore, CertNotAfter time.Time
	// Err is what went wrong, if anything did. It holds text of the server's.
	Err error
}

// Problem is what a result means. The order is that of how bad it is.
type Problem uint8

// The problems.
const (
	// Unknown: nothing was tried, or nobody answered. It shows nothing about TLS.
	Unknown Problem = iota
	// OK: STARTTLS works.
	OK
	// CertificateExpires: it works, for less than [ExpiresSoon] to come.
	CertificateExpires
	// CertificateInvalid: the certificate has expired, or is not valid yet.
	// Peers that look at it stay away or come in clear.
	CertificateInvalid
	// HandshakeFails: STARTTLS is offered and then fails.
	HandshakeFails
	// NotOffered: STARTTLS is not offered.
	NotOffered
)

// ExpiresSoon is how long before its end a certificate is a problem: 14 days,
// for those that renew themselves have 30 left by then.
const ExpiresSoon = 14 * 24 * time.Hour

// problems are the names of the problems, and what they are called before people.
var problems = [...]struct{ name, words string }{
	{"unknown", "no answer"}, {"ok", "works"}, {"certificate_expires", "certificate expires soon"},
	{"certificate_invalid", "certificate not valid"}, {"handshake_fails", "handshake fails"}, {"not_offered", "not offered"},
}

func (p Problem) row() int { return min(int(p), len(problems)-1) }

// String returns the problem as one lower-case word.
func (p Problem) String() string { return problems[p.row()].name }

// Words returns the state of STARTTLS as people call it, such as "not offered".
func (p Problem) Words() string { return problems[p.row()].words }

// Problem returns what the result means at the given time: a certificate ages.
func (r Result) Problem(now time.Time) Problem {
	switch {
	case !r.Reachable:
		return Unknown
	case !r.Offered:
		return NotOffered
	case !r.Handshake:
		return HandshakeFails
	case now.Before(r.CertNotBefore) || !now.Before(r.CertNotAfter):
		return CertificateInvalid
	case now.Add(ExpiresSoon).After(r.CertNotAfter):
		return CertificateExpires
	}
	return OK
}

// DaysLeft returns how many whole days the certificate is still good for;
// negative ones after its end, and 0 where none was seen.
func (r Result) DaysLeft(now time.Time) int {
	if r.CertNotAfter.IsZero() {
		return 0
	}
	left := r.CertNotAfter.Sub(now)
	if left < 0 {
		left -= 24*time.Hour - 1
	}
	return int(left / (24 * time.Hour))
}

// Notice states what was found first, or that a problem began, became another, or
// is over (Problem OK).
type Notice struct {
	// Problem is what it is now.
	Problem Problem
	// Address is that of the server.
	Address string
	Result  Result
}

// String describes what was found and where to look. It is clean.
func (n Notice) String() string { return n.Result.Describe(n.Address, n.Problem) }

// Describe states that a result of the server at an address has a problem, and
// where to look. It is clean.
func (r *Result) Describe(address string, p Problem) string {
	const look = "see smtpd_tls_security_level, the certificate files and the lines of smtpd in Postfix's log"
	from, until := r.CertNotBefore.UTC().Format(time.DateOnly), r.CertNotAfter.UTC().Format(time.DateOnly)
	text := fmt.Sprintf("our own %s has not answered yet", address)
	switch {
	case p == NotOffered:
		text = fmt.Sprintf("our own %s does not offer STARTTLS, so that every peer falls back to plaintext: %s", address, look)
	case p == HandshakeFails:
		text = fmt.Sprintf("our own %s offers STARTTLS, but it fails (%v): %s", address, r.Err, look)
	case p == CertificateInvalid:
		text = fmt.Sprintf("the certificate of our own %s is valid from %s to %s, not now: renew it and reload Postfix", address, from, until)
	case p == CertificateExpires:
		text = fmt.Sprintf("the certificate of our own %s ends on %s, in %d days: renew it and reload Postfix", address, until, r.DaysLeft(r.At))
	case p == OK:
		text = fmt.Sprintf("STARTTLS of our own %s works (%s, certificate until %s, %d days)", address, r.Version, until, r.DaysLeft(r.At))
	case r.Err != nil:
		text = fmt.Sprintf("our own %s does not answer: %v", address, r.Err)
	}
	return clean.Text(text, maxWords)
}
