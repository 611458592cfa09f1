package tlsstate

// Action is what a downgrade leads to. The actions are ordered by strength.
type Action uint8

// The actions.
const (
	// Observe only logs and counts.
	Observe Action = iota
	// Header marks the message with a header.
	Header
	// Quarantine puts the message into Postfix's hold queue.
	Quarantine
	// Tempfail refuses recipients with 451: the sender tries again.
	Tempfail
	// Reject refuses recipients with 550.
	Reject
)

var actionNames = [...]string{Observe: "observe", Header: "header", Quarantine: "quarantine", Tempfail: "tempfail", Reject: "reject"}

// String returns the action as the config spells it.
func (a Action) String() string { return word(a, actionNames[:]) }

// ParseAction is the inverse of [Action.String]. The error names the actions
// that there are.
func ParseAction(s string) (Action, error) { return parseWord[Action]("action", s, actionNames[:]) }

// Enforce is when a domain's pin may lead to the full action against an
// address that has no TLS history of its own.
type Enforce uint8

// The ways to enforce a domain's pin.
const (
	// EnforceBroad enforces it where there is [Support] for that.
	EnforceBroad Enforce = iota
	// EnforceAlways enforces every domain's pin.
	EnforceAlways
	// EnforceNever leads to a header at most.
	EnforceNever
)

var enforceNames = [...]string{EnforceBroad: "broad", EnforceAlways: "always", EnforceNever: "never"}

// String returns the word as the config spells it.
func (e Enforce) String() string { return word(e, enforceNames[:]) }

// CertPins is by what a client certificate is remembered.
type CertPins uint8

// The ways to remember client certificates.
const (
	// CertByIssuer is by the issuer and subject of a certificate that Postfix
	// trusts.
	CertByIssuer CertPins = iota
	// CertByKey is by the fingerprint of its public key, trusted or not.
	CertByKey
	// CertOff holds nobody to a certificate.
	CertOff
)

var certPinNames = [...]string{CertByIssuer: "issuer", CertByKey: "key", CertOff: "off"}

// String returns the word as the config spells it.
func (c CertPins) String() string { return word(c, certPinNames[:]) }

// Policy is the rule that a history is judged by. It says what holds, not what
// was seen: nothing of it is stored. Its JSON form is that of a report: the keys of
// the config for what decides.
type Policy struct {
	// Stripped, Weakened and Unauthenticated are the actions for the three
	// kinds of downgrade.
	Stripped        Action `json:"stripped"`
	Weakened        Action `json:"weakened"`
	Unauthenticated Action `json:"unauthenticated"`
	// PinAfterDays is on how many distinct days (or in how many weeks) a level
	// must have been seen before it is pinned: 1 to 64. 1 is plain trust on
	// first use.
	PinAfterDays int `json:"pin_after_days"`
	// PinMaxAgeDays is how long a pin holds without being met: 1 to 3650.
	PinMaxAgeDays int `json:"pin_max_age_days"`
	// ReleaseAfterDays is on which day below a pin, counted since it was last
	// met, the peer is let through again: 2 to 64.
	ReleaseAfterDays int `json:"release_after_days"`
	// RelaxAfterDays is how many days below a pin in the last 64 make the peer
	// an only partly encrypted one: 2 to 64.
	RelaxAfterDays int `json:"relax_after_days"`
	// PinUpTo is the highest level that is pinned: Weak to TLS13.
	PinUpTo Level `json:"pin_up_to"`
	// DomainEnforce is when a domain's pin leads to the full action.
	DomainEnforce Enforce `json:"domain_enforce"`
	// PinCertificates is by what the pin on a client certificate knows it.
	PinCertificates CertPins `json:"-"`

	// Peer says that the actions are a standing wish of the operator for this
	// very peer: no cap applies and the breaker leaves them alone.
	Peer bool `json:"-"`
	// Least is the level that this peer must always reach, from its first mail
	// on; Plaintext for none.
	Least Level `json:"-"`
	// Fingerprints are those of which this peer must always show one, in the form
	// of [Fingerprint]: of its certificate or of its public key.
	Fingerprints []string `json:"-"`
	// Exempt says that this peer is neither judged nor learned.
	Exempt bool `json:"-"`
	// Row names the row that the policy comes from: its domain or its network.
	// "" for the base policy.
	Row string `json:"-"`
}

// DefaultPolicy returns the policy of a new installation: it never refuses.
func DefaultPolicy() Policy {
	return Policy{
		PinAfterDays:     5,
		PinMaxAgeDays:    180,
		ReleaseAfterDays: 3,
		RelaxAfterDays:   6,
		PinUpTo:          TLS12,
		DomainEnforce:    EnforceBroad,
		Stripped:         Header,
		Weakened:         Header,
		Unauthenticated:  Observe,
	}
}

// Action returns what the policy wants for a kind of downgrade.
func (p Policy) Action(k Downgrade) Action {
	return [...]Action{Stripped: p.Stripped, Weakened: p.Weakened, Unauthenticated: p.Unauthenticated}[k]
}
