package tlsstate

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
	// Raised: with this session, which is not the first, a pin formed.
	Raised
	// Downgraded: the session is below a pin that holds.
	Downgraded
)

var outcomeNames = [...]string{"unknown", "exempt", "new", "learning", "steady", "raised", "downgrade"}

// String returns the outcome as logs and headers spell it.
func (o Outcome) String() string { return word(o, outcomeNames[:]) }

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
func (d Downgrade) String() string { return word(d, downgradeNames[:]) }

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
	// Required reports that Pin is a row of the config, not memory.
	Required bool
	// State is, for a session below a pin that does not hold, why it doesn't;
	// PinHolds if Pin holds; else PinNone.
	State PinState
	// Since is the day the pin formed, Last the last day it was met.
	Since, Last Day
	// Days is on how many of the last 64 days the pin was met, Below on how
	// many days the peer stayed below it since Last, this session's included.
	Days, Below int
	// Marks count what was seen under a domain.
	Marks
	// Support is why a domain's pin leads to the full action against this
	// address. [Combine] sets it.
	Support Support
	// Recalled reports that DNS did not confirm the domain's name: the memory
	// of the address, or of its network, supplied it.
	Recalled bool

	// HasTLS reports that the identity was seen with TLS before, OftenBare that it
	// came in clear on [BareDays] days or more, this session's included.
	HasTLS, OftenBare bool
	// KnownPlaintext reports that the session came from an address that came on
	// three days, always in clear, or below its domain's pin again and again: the
	// pin says little of it.
	KnownPlaintext bool
	// faithful is the level that the identity kept until of late.
	faithful Level
}

// Support is evidence that an address which was never seen with TLS is one of a
// pool that always encrypts.
type Support uint8

// The kinds of support.
const (
	// NoSupport leaves a domain's pin with a header at most.
	NoSupport Support = iota
	// SupportRequired: a row of the config requires the level.
	SupportRequired
	// SupportEnforced: the config enforces every domain's pin.
	SupportEnforced
	// SupportItself: the address has a TLS history of its own, too short for a
	// pin.
	SupportItself
	// SupportHostName: a host of that name came with TLS, from another address.
	SupportHostName
	// SupportSPF: the SPF record of the domain names its hosts.
	SupportSPF
	// SupportNetwork: hosts of the domain in the same network encrypt.
	SupportNetwork
	// SupportAddresses: many addresses of the domain, in several networks,
	// encrypt.
	SupportAddresses
)

var supportNames = [...]string{
	NoSupport: "none", SupportRequired: "required", SupportEnforced: "enforced", SupportItself: "itself",
	SupportHostName: "host-name", SupportSPF: "spf", SupportNetwork: "network", SupportAddresses: "addresses",
}

// String returns the support as one lower-case word.
func (s Support) String() string { return word(s, supportNames[:]) }

// Pinned reports whether a pin formed with the session. It may be the first one,
// which stays [New].
func (v *Verdict) Pinned() bool {
	return v.Outcome == Raised || v.Outcome == New && v.State == PinHolds
}

// Unsaved makes the verdict that of a session of which nothing was kept: with it, no pin
// formed.
func (v *Verdict) Unsaved() {
	if !v.Pinned() {
		return
	}
	v.Outcome = min(v.Outcome, Learning)
	v.Pin, v.State, v.Since, v.Last, v.Days = Plaintext, PinNone, 0, 0, 0
}

// plaintextDays is on how many days an address without TLS must have come in
// clear to be known for plaintext.
const plaintextDays = 3

// Words returns the protocol of the session as Postfix names it, or "none".
// It is the peer's text and not clean.
func (s Security) Words() string {
	if s.Level == Plaintext || s.Protocol == "" {
		return s.Level.String()
	}
	return s.Protocol
}
