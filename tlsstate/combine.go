package tlsstate

// Verdicts are those of one session's identities. One that isn't there is the
// zero Verdict.
type Verdicts struct {
	Address, Domain, Sender Verdict
}

// Combine makes one verdict of a session's: the address speaks first, the
// domain for an address without a TLS history of its own, or with one that is
// too short for a pin and kept to the domain's so far, the sender last. The
// one that speaks keeps its identity and evidence; Cap and Action are set. The
// verdicts are used up.
func Combine(vs *Verdicts, rule *Policy) Verdict {
	v := speaker(vs, rule)
	v.Action = Observe
	if v.Outcome != Downgraded {
		v.Cap = Observe
		return v
	}
	if rule.Peer {
		v.Cap = Reject
	}
	v.Action = min(rule.Action(v.Kind), v.Cap)
	return v
}

// speaker returns the verdict that speaks for the session. A downgrade comes
// with the cap of its identity's kind.
func speaker(vs *Verdicts, rule *Policy) Verdict {
	address, domain, sender := &vs.Address, &vs.Domain, &vs.Sender
	switch {
	case rule.Exempt:
		address.Outcome = Exempt
	case address.Outcome == Downgraded:
		address.Cap = Reject
	case domain.Outcome == Downgraded && (!address.hasTLS || domain.Required || address.keeps(domain)):
		domain.Cap = domainCap(address, domain, rule)
		domain.knownPlaintext = address.knownPlaintext
		return *domain
	case sender.Outcome == Downgraded:
		sender.Cap = Header
		return *sender
	case domain.Outcome != Downgraded && domain.tells() > address.tells():
		return *domain
	}
	return *address
}

// domainCap is the most that a domain's pin may do to an address.
func domainCap(address, domain *Verdict, rule *Policy) Action {
	switch {
	case domain.Required:
		return Reject
	case address.knownPlaintext, rule.DomainEnforce == EnforceNever:
		return Header
	case rule.DomainEnforce == EnforceAlways, domain.Broad(), address.keeps(domain):
		return Reject
	}
	return Header
}

// keeps tells whether an address has a TLS history of its own that kept to the
// domain's pin so far: what the pin says holds for this very machine.
func (v *Verdict) keeps(domain *Verdict) bool {
	return v.hasTLS && v.faithful >= domain.Pin
}

// tells ranks what is worth telling of a session that is no downgrade.
func (v *Verdict) tells() Outcome {
	if v.Identity.IsZero() {
		return 0
	}
	return v.Outcome
}
