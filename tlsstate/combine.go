package tlsstate

// Verdicts are those of one session's identities. One that isn't there is the
// zero Verdict.
type Verdicts struct {
	Address, Domain, Sender Verdict
	// Hosts reports that the address's network is known for hosts of the domain
	// that encrypt: see [History.Hosts]. Mixed reports that several domains were
	// seen with TLS there.
	Hosts, Mixed bool
	// HostName is the [HostMark] of the client name that DNS confirmed, or 0.
	HostName Sketch
	// Named reports that the SPF record of the domain names the address.
	Named bool
}

// Combine makes one verdict of a session's: the address speaks first, the
// domain for an address without a pin of its own, the sender last. The one that
// speaks keeps its identity and evidence; Cap, Action and Support are set. The
// verdicts are used up.
func Combine(vs *Verdicts, rule *Policy) Verdict {
	v := speaker(vs, rule)
	if v.Outcome != Downgraded {
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
	case address.Outcome == Downgraded:
		address.Cap = Reject
	case domain.Outcome == Downgraded && (domain.Required || !address.letGo()):
		domain.KnownPlaintext = address.KnownPlaintext || address.HasTLS && !address.keeps(domain)
		domain.Cap = Header
		switch domain.Support = support(vs, rule); {
		case domain.Support == NoSupport:
		case domain.Recalled && !domain.Required: // nothing proves it now: lose no mail by it
			domain.Cap = Tempfail
		default:
			domain.Cap = Reject
		}
		return *domain
	case sender.Outcome == Downgraded:
		sender.Cap = Header
		return *sender
	case domain.Outcome != Downgraded && domain.Outcome > address.Outcome:
		return *domain
	}
	return *address
}

// support is why a domain's pin leads to the full action against an address.
func support(vs *Verdicts, rule *Policy) Support {
	address, domain := &vs.Address, &vs.Domain
	switch {
	case domain.Required:
		return SupportRequired
	case domain.KnownPlaintext, rule.DomainEnforce == EnforceNever:
	case rule.DomainEnforce == EnforceAlways:
		return SupportEnforced
	case address.keeps(domain):
		return SupportItself
	case domain.knows(vs.HostName):
		return SupportHostName
	case vs.Named, domain.named():
		return SupportSPF
	case vs.Hosts && domain.pool():
		return SupportNetwork
	case domain.Broad() && !vs.Mixed:
		return SupportAddresses
	}
	return NoSupport
}

// Young reports whether a domain's pin leads to less than the rule wants, and too
// few of its addresses are known for its SPF record to have shown whether it
// names them.
func (v *Verdict) Young(rule *Policy) bool {
	return v.Identity.Kind == Domain && v.Outcome == Downgraded && v.Action < rule.Action(v.Kind) &&
		!v.KnownPlaintext && rule.DomainEnforce == EnforceBroad && v.Addresses.Estimate() < namedAddresses
}

// keeps reports whether an address has a TLS history of its own that kept to
// the domain's pin so far: what the pin says holds for this very machine.
func (v *Verdict) keeps(domain *Verdict) bool {
	return v.HasTLS && v.faithful >= domain.Pin
}

// letGo reports whether an address had a pin of its own that holds no more: it
// speaks for itself.
func (v *Verdict) letGo() bool { return v.State > PinHolds }
