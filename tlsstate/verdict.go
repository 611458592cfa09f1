package tlsstate

import "fmt"

// Outcome is what one session means against a history.
type Outcome uint8

// The outcomes.
const (
	// Unknown: the TLS state is not known, or the listener offers no TLS.
	// Nothing was judged or learned.
	Unknown Outcome = iota
	// Exempt: the operator wants no judgement.
	Exempt
	// New: the first session of this identity.
	New
	// Learning: there is a history, but no pin that holds.
	Learning
	// Steady: the session met every pin.
	Steady
	// Raised: with this session a pin formed.
	Raised
	// Downgraded: the session is below a pin that holds.
	Downgraded
)

var outcomeNames = [...]string{"unknown", "exempt", "new", "learning", "steady", "raised", "downgrade"}

// String returns the outcome as logs and headers spell it.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// Downgrade is the kind of a downgrade.
type Downgrade uint8

// The kinds of downgrade.
const (
	// NoDowngrade is the kind of every other outcome.
	NoDowngrade Downgrade = iota
	// Stripped: the session was in clear.
	Stripped
	// Weakened: the session was encrypted, but below the pin.
	Weakened
	// Unauthenticated: a client certificate that always came did not.
	Unauthenticated
)

var downgradeNames = [...]string{"none", "stripped", "weakened", "unauthenticated"}

// String returns the kind as logs and headers spell it.
func (d Downgrade) String() string {
	if int(d) < len(downgradeNames) {
		return downgradeNames[d]
	}
	return fmt.Sprintf("Downgrade(%d)", uint8(d))
}

// Verdict is what one session means, with its evidence.
type Verdict struct {
	Outcome  Outcome
	Kind     Downgrade
	Identity Identity
	// Cap is the most that the verdict may lead to, and Action what the policy
	// makes of it. Both are set by [Combine].
	Cap, Action Action
	// Seen is what came.
	Seen Security

	// Pin is the level expected: that of the highest pin that holds, or the
	// least level of a standing wish. Plaintext if there is neither.
	Pin Level
	// Required says that Pin is a standing wish of the operator, not memory.
	Required bool
	// State tells, for a session below a pin that does not hold, why it
	// doesn't; PinHolds if Pin holds; else PinNone.
	State PinState
	// Since is the day the pin formed, Last the last day it was met.
	Since, Last Day
	// Days is on how many of the last 64 days the pin was met, Below on how
	// many days the peer stayed below it since Last, this session's included.
	Days, Below int
	// Networks and Addresses count those that hold a pin of their own under a
	// domain.
	Networks, Addresses Sketch

	// hasTLS says that the identity has a TLS history of its own;
	// knownPlaintext that it came on three days, always in clear. faithful is
	// the level that it always kept until of late.
	hasTLS, knownPlaintext bool
	faithful               Level
}

// KnownPlaintext tells whether the session came from an address that was seen
// on three days and never with TLS.
func (v Verdict) KnownPlaintext() bool { return v.knownPlaintext }

// Broad tells whether a domain's pin stands on enough networks and addresses
// to speak with full force for an address it has not seen.
func (v Verdict) Broad() bool {
	return v.Networks.Estimate() >= broadNetworks && v.Addresses.Estimate() >= broadAddresses
}

const (
	broadNetworks  = 3
	broadAddresses = 10
	plaintextDays  = 3
)

// Words returns the protocol of the session as Postfix names it, or "none".
// It is the peer's text and not clean.
func (s Security) Words() string {
	if s.Level == Plaintext {
		return Plaintext.String()
	}
	if s.Protocol == "" {
		return s.Level.String()
	}
	return s.Protocol
}
