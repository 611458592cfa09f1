package milter

import (
	"strings"
	"time"

	"tlsratchet/internal/ratchet"
)

// Options are what an operator wants of the milter. They are immutable;
// [Milter.SetOptions] swaps them whole.
type Options struct {
	// HeaderAll adds the header to every message, not to downgrades alone.
	HeaderAll bool
	// ExemptRecipients get their mail whatever the verdict: local parts, or
	// whole addresses, in lower case. A local part is exempt with any domain.
	ExemptRecipients []string
	// Contact is a URL or address for reply texts, or empty.
	Contact string
}

// exempt reports whether a recipient, as it stands in RCPT TO, is exempt.
func (o *Options) exempt(rcpt string) bool {
	rcpt = strings.ToLower(strings.Trim(rcpt, "<>"))
	local, _, _ := strings.Cut(rcpt, "@")
	for _, e := range o.ExemptRecipients {
		if e == rcpt || e == local {
			return true
		}
	}
	return false
}

// Judge decides what a session means and learns from it: a *ratchet.Ratchet,
// or in tests one that fails.
type Judge interface {
	Decide(*ratchet.Session) ratchet.Decision
	Learn(*ratchet.Session, *ratchet.Decision)
}

var _ Judge = (*ratchet.Ratchet)(nil)

// Deps are what the milter works with.
type Deps struct {
	// Judge decides. Required.
	Judge Judge
	// Now returns the time. Required.
	Now func() time.Time
	// Events is called with what became of each message that was judged. It is
	// on the mail path and must not block. Required.
	Events func(ratchet.Event)
}
