package ratchet

import (
	"context"

	"tlsratchet/internal/peer/spf"
)

// Senders proves claims of senders; see [spf.Prover], whose methods these are.
type Senders interface {
	Prove(context.Context, spf.Claim) spf.Result
	Learn(c spf.Claim, learn func()) bool
	Tried(spf.Claim) bool
}
