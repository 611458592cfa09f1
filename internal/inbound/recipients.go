package inbound

import (
	"slices"
	"strings"
)

// Recipients are local parts, or whole addresses, in lower case. A local part
// stands for any domain.
type Recipients []string

// Has reports whether a recipient, as it stands in RCPT TO, is one of them.
func (r Recipients) Has(rcpt string) bool {
	rcpt = strings.ToLower(strings.Trim(rcpt, "<>"))
	local := rcpt[:max(strings.LastIndexByte(rcpt, '@'), 0)]
	return slices.Contains(r, rcpt) || slices.Contains(r, local)
}
