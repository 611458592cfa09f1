package population

import (
	"log/slog"
	"time"

	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// Rule is one row of the table of rules that are tried.
type Rule struct {
	Name string
	// Policy is ours to judge by.
	Policy tlsstate.Policy
	// Breaker is that of the daemon, or not.
	Breaker Breaking
	// Other, if not nil, makes another rule altogether.
	Other func() judge
	// Peaceful tries the rule once more on a world without hostile senders, to
	// see what they did to others.
	Peaceful bool
}

// Breaking is which circuit breaker there is.
type Breaking uint8

const (
	// Checked is the breaker with a self-check every five minutes.
	Checked Breaking = iota
	// Unchecked is the breaker without one.
	Unchecked
	// Unbroken is none.
	Unbroken
)

// Defaults is the policy of a new installation, with tempfail for what was
// stripped. What was weakened gets a header.
func Defaults() tlsstate.Policy {
	p := tlsstate.DefaultPolicy()
	p.Stripped = tlsstate.Tempfail
	return p
}

func neighbour(change func(*tlsstate.Policy)) tlsstate.Policy {
	p := Defaults()
	change(&p)
	return p
}

func after(days int) tlsstate.Policy {
	return neighbour(func(p *tlsstate.Policy) { p.PinAfterDays = days })
}

func release(days int) tlsstate.Policy {
	return neighbour(func(p *tlsstate.Policy) { p.ReleaseAfterDays = days })
}

func relax(days int) tlsstate.Policy {
	return neighbour(func(p *tlsstate.Policy) { p.RelaxAfterDays = days })
}

func enforce(e tlsstate.Enforce) tlsstate.Policy {
	return neighbour(func(p *tlsstate.Policy) { p.DomainEnforce = e })
}

// Rules are the rules that are tried, our defaults first.
func Rules() []Rule {
	return []Rule{
		{Name: "**our defaults, `tempfail`**", Policy: Defaults(), Peaceful: true},
		{Name: "no self-check", Policy: Defaults(), Breaker: Unchecked},
		{Name: "no breaker", Policy: Defaults(), Breaker: Unbroken},
		{Name: "`pin_after_days = 1`", Policy: after(1)},
		{Name: "`pin_after_days = 2`", Policy: after(2)},
		{Name: "`pin_after_days = 3`", Policy: after(3)},
		{Name: "`pin_after_days = 4`", Policy: after(4)},
		{Name: "`pin_after_days = 7`", Policy: after(7)},
		{Name: "`pin_after_days = 10`", Policy: after(10)},
		{Name: "`domain_enforce = \"never\"`", Policy: enforce(tlsstate.EnforceNever)},
		{Name: "`domain_enforce = \"always\"`", Policy: enforce(tlsstate.EnforceAlways)},
		{Name: "`release_after_days = 2`", Policy: release(2)},
		{Name: "`release_after_days = 4`", Policy: release(4)},
		{Name: "`release_after_days = 64`", Policy: release(64)},
		{Name: "`relax_after_days = 4`", Policy: relax(4)},
		{Name: "`relax_after_days = 5`", Policy: relax(5)},
		{Name: "`relax_after_days = 10`", Policy: relax(10)},
		{Name: "`relax_after_days = 64`", Policy: relax(64)},
		{Name: "`weakened = \"tempfail\"` too", Policy: neighbour(func(p *tlsstate.Policy) { p.Weakened = tlsstate.Tempfail })},
		{Name: "one TLS mail pins the sender domain for ever, 550 (SPF perfect)", Other: newSenderForEver, Peaceful: true},
		{Name: "any TLS connection pins whatever name it gives, for ever, 550", Other: newAnyForEver, Peaceful: true},
	}
}

// transaction is one session on its way through a rule.
type transaction struct {
	ratchet.Session
	sender int32
	bits   uint8
	dns    bool // our DNS is broken
}

// answer is what a rule makes of a session.
type answer struct {
	action    tlsstate.Action
	identity  tlsstate.Identity
	downgrade bool
	// full says that the action is all that the policy wants for it; tripped
	// that the breaker is, and has sent.
	full, tripped bool
}

func (a answer) refuses() bool { return a.action >= tlsstate.Tempfail }

// judge is a rule at work.
type judge interface {
	// judge decides on a session and learns from it.
	judge(x *transaction) answer
	// probe reports whether the session would be refused, and leaves no trace.
	probe(x *transaction) bool
}

// ours is the real thing.
type ours struct {
	rule        *tlsstate.Policy
	live, trial *ratchet.Ratchet
	now         time.Time
	checked     time.Time
	from, to    int64 // our own outage
}

func newOurs(r *Rule) (*ours, error) {
	rules, err := tlsstate.NewRules(r.Policy, nil)
	if err != nil {
		return nil, err
	}
	parts := ratchet.Options{Histories: newMemory(rules.Default()), Rules: rules, Senders: notary{}, Log: slog.New(slog.DiscardHandler)}
	o := &ours{rule: rules.Default(), trial: ratchet.New(parts), from: outageFrom, to: outageTo}
	if r.Breaker == Unbroken {
		o.live = ratchet.New(parts)
		return o, nil
	}
	options := ratchet.BreakerOptions{Domains: 10, Window: 10 * time.Minute, PinDays: 7}
	if r.Breaker == Checked {
		options.SelfCheck = o.selfCheck
		options.Changed = func(ratchet.Answer) { o.checked = o.now }
	}
	parts.Breaker = ratchet.NewBreaker(options)
	o.live = ratchet.New(parts)
	return o, nil
}

// selfCheck tries our own STARTTLS every five minutes, and when the breaker
// trips.
func (o *ours) selfCheck() (works bool, at time.Time) {
	at = o.now.Truncate(5 * time.Minute)
	if o.checked.After(at) {
		at = o.checked
	}
	t := at.Unix() - epoch.Unix()
	return t < o.from || t >= o.to, at
}

func (o *ours) judge(x *transaction) answer {
	o.now = x.At
	d := o.live.Decide(&x.Session)
	if d.Changes && x.bits&noMessage == 0 {
		o.live.Learn(&x.Session, &d)
	}
	a := answer{action: d.Action, identity: d.Identity, downgrade: d.Outcome == tlsstate.Downgraded}
	a.tripped = d.Breaker == ratchet.Softened || d.Breaker == ratchet.Suspended
	a.full = a.downgrade && d.Action >= o.rule.Action(d.Kind)
	return a
}

func (o *ours) probe(x *transaction) bool {
	return o.trial.Decide(&x.Session).Action >= tlsstate.Tempfail
}
