package inbound

import (
	"slices"
	"strings"

	"tlsratchet/internal/peer"
)

// Recipients are local parts, or whole addresses, in lower case. A local part
// stands for any domain.
type Recipients []string

// Has reports whether a recipient, as it stands in RCPT TO, is one of them. Its
// domain may be written in other ways: in U-labels, with a dot at its end, behind a
// source route.
func (r Recipients) Has(rcpt string) bool {
	rcpt = strings.ToLower(strings.Trim(rcpt, "<>"))
	if strings.HasPrefix(rcpt, "@") { // a source route (RFC 5321 appendix C)
		_, rcpt, _ = strings.Cut(rcpt, ":")
	}
	local, domain := Cut(rcpt)
	local = strings.Trim(local, `"`)
	host, _ := peer.Normalize(domain) // as the list has it, or "" for what is none
	return local != "" && slices.ContainsFunc(r, func(one string) bool {
		l, d := Cut(one)
		return l == local && (d == "" || d == domain || d == host)
	})
}

// Cut cuts an address at its last @. One without is a local part.
func Cut(address string) (local, domain string) {
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		return address[:at], address[at+1:]
	}
	return address, ""
}
