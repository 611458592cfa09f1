package milter

import (
	"net/netip"
	"time"

	"tlsratchet/internal/ratchet"
)

// Options are what an operator wants of the milter. They are immutable;
// [Milter.SetOptions] swaps them whole.
type Options struct {
	// HeaderAll adds the header to every message, not to downgrades alone.
	HeaderAll bool
	// ExemptRecipients get their mail whatever the verdict.
	ExemptRecipients ratchet.Recipients
	// Contact is a URL or address for reply texts, or empty.
	Contact string
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
	// Seen, if not nil, is called with the client's address and port ("" where
	// Postfix states none) of each message. It is on the mail path.
	Seen func(addr netip.Addr, port string)
}
