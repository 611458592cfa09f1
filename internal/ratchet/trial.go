package ratchet

import (
	"context"
	"fmt"
	"time"

	"tlsratchet/internal/peer/spf"
	"tlsratchet/tlsstate"
)

// trial is one session on its way: identities, load, judge, combine. Decide and
// Explain share it, so that they can't disagree.
type trial struct {
	*Session
	// Decision is what it comes to, before the breaker limits it.
	Decision
	// dry states that nothing may come of it: no DNS, no other host is asked, and
	// a claim is taken as proven.
	dry bool
	// timed says that its loads are timed.
	timed bool

	// day is the one that the session is judged on: its own, or the newest
	// record's where the clock is not to be trusted.
	day tlsstate.Day

	listener, address, domain, network, sender part
	claimed                                    spf.Claim // of the sender

	// elsewhere reports that STARTTLS is known to be offered, but not on the
	// port that the session came in at.
	elsewhere bool
	// recalled reports that DNS confirmed no name, and that the memory supplied
	// the domain.
	recalled bool

	// verdicts are those of the parts.
	verdicts tlsstate.Verdicts
}

// part is one identity's share in a trial. One that isn't there has the zero
// identity.
type part struct {
	id      tlsstate.Identity
	history tlsstate.History
	seen    tlsstate.Observation
	verdict tlsstate.Verdict
}

// begin makes t a trial of the session.
func (r *Ratchet) begin(t *trial, s *Session) {
	*t = trial{}
	t.Session, t.rule, t.day = s, r.ruleFor(s, s.Peer.Host), s.day()
	t.listener.id, t.address.id, t.domain.id = s.Peer.Listener, s.Peer.Address, s.Peer.Domain
	if !s.sender.IsZero() {
		t.sender.id = s.sender
	} else if r.o.Senders != nil {
		if c, ok := spf.ClaimOf(&s.Peer, s.From); ok {
			t.claimed, t.sender.id = c, c.Identity
		}
	}
}

// ruleFor returns the policy of a session whose client has a name: the client's,
// or that of the sender where it demands more. A sender does not have those
// judged who are not.
func (r *Ratchet) ruleFor(s *Session, host string) *tlsstate.Policy {
	rules := r.rules.Load()
	rule := rules.For(s.Peer.IP, host)
	if !rules.NamesSenders() || rule.Exempt || rule.Row == "" && isPrivate(s.Peer.IP) {
		return rule
	}
	return rules.ForSender(rule, spf.DomainOf(s.From))
}

// exempt reports whether the session is not to be judged, and says so in the
// verdict.
func (t *trial) exempt() bool {
	switch {
	case t.Authenticated:
		t.Reason = ErrAuthenticated
	case t.rule.Exempt:
		t.Reason = ErrExempt
	case t.rule.Row == "" && isPrivate(t.Peer.IP):
		t.Reason = ErrPrivate
	default:
		return false
	}
	t.Verdict = tlsstate.Verdict{Outcome: tlsstate.Exempt, Seen: t.Security, Identity: t.Peer.Address}
	return true
}

// try judges the session: on what this host knows, and again where other hosts
// know more.
func (r *Ratchet) try(t *trial) error {
	if t.day == 0 {
		return ErrDay
	}
	t.day = r.clock.trusted(t.day, r.o.Histories.Newest())
	if err := r.load(t); err != nil {
		return err
	}
	if r.refresh(t) {
		if err := r.reload(t); err != nil {
			return err
		}
	}
	r.judge(t)
	if t.Kind == tlsstate.Unauthenticated && r.refreshWithin(t, 0) {
		if err := r.reload(t); err != nil {
			return err
		}
		r.judge(t)
	}
	return nil
}

// load reads the histories of all identities.
func (r *Ratchet) load(t *trial) error {
	for _, p := range [...]*part{&t.listener, &t.address, &t.domain, &t.sender} {
		if err := r.loadPart(t, p); err != nil {
			return err
		}
	}
	if t.Level >= t.rule.PinUpTo {
		return nil
	}
	if err := r.loadNetwork(t); err != nil || t.Level > tlsstate.Plaintext {
		return err
	}
	return r.loadElsewhere(t)
}

// reload reads them again, now that more is known: what the memory supplied before
// it may not supply now.
func (r *Ratchet) reload(t *trial) error {
	t.rule, t.domain, t.network = r.ruleFor(t.Session, t.Peer.Host), part{id: t.Peer.Domain}, part{}
	return r.load(t)
}

func (r *Ratchet) loadPart(t *trial, p *part) (err error) {
	if p.id.IsZero() {
		return nil
	}
	if t.timed {
		defer r.timed(Loading, time.Now())
	}
	if p.history, err = r.o.Histories.Load(p.id); err != nil {
		return fmt.Errorf("loading %s: %w", p.id, err)
	}
	return nil
}

// judge holds the session against the histories, and combines the verdicts.
func (r *Ratchet) judge(t *trial) {
	t.certify(t.rule)
	t.Decision = Decision{rule: t.rule, Changes: t.day != t.Session.day()} // Learn decides on a clock that is not to be trusted
	blind := t.Level == tlsstate.Plaintext && !t.offered()
	if blind && t.rule.Least == tlsstate.Plaintext && !t.elsewhere {
		t.noSTARTTLS()
		return
	}
	if t.Level > tlsstate.Plaintext {
		t.offers = t.judgeIdentity(&t.listener, t.listenerObservation()) || t.Changes
	}
	t.Changes = t.judgeIdentity(&t.address, t.addressObservation()) || t.Changes || t.offers
	changes := t.judgeIdentity(&t.domain, t.domainObservation(&t.address.verdict))
	if t.domain.verdict.Recalled = t.recalled; t.recalled { // it learns nothing
		t.domain.verdict.Unsaved()
	} else {
		t.Changes = t.Changes || changes
	}
	r.judgeSender(t)
	t.combine(false)
	if t.Young(t.rule) && r.named(t) {
		t.combine(true)
	}
	if blind {
		t.judgeBlind()
	}
	t.Unlimited = t.Action
}

// combine makes one verdict of the parts'. named reports that the SPF record of
// the domain names the address.
func (t *trial) combine(named bool) {
	vs := &t.verdicts
	vs.Address, vs.Domain, vs.Sender = t.address.verdict, t.domain.verdict, t.sender.verdict
	vs.Hosts, vs.Mixed = t.network.history.Hosts(t.domainMark()), t.network.history.Name.Text == tlsstate.Several
	vs.HostName, vs.Named = t.Peer.HostMark, named
	t.Verdict = tlsstate.Combine(vs, t.rule)
}

// judgeBlind limits what follows of a session in clear at a port where STARTTLS
// was never seen. It teaches nothing. A row's least level holds everywhere;
// other downgrades lead to a header at most, and what is none is unknown.
func (t *trial) judgeBlind() {
	t.Changes = false
	switch {
	case t.Required:
	case t.Outcome == tlsstate.Downgraded:
		t.Cap = min(t.Cap, tlsstate.Header)
		t.Action = min(t.Action, t.Cap)
	default:
		t.noSTARTTLS()
	}
}

func (t *trial) noSTARTTLS() {
	t.Changes, t.Reason = false, ErrNoSTARTTLS
	t.Verdict = tlsstate.Verdict{Identity: t.listener.id, Seen: t.Security}
}

// offered reports whether STARTTLS is known to be offered where the session
// came in. A dry trial has no listener of its own.
func (t *trial) offered() bool {
	return t.dry || !t.listener.id.IsZero() && t.listener.history.Offers(t.day)
}

// judgeIdentity judges the session for one identity, and reports whether that
// would change its history.
func (t *trial) judgeIdentity(p *part, o tlsstate.Observation) (changes bool) {
	p.seen, p.verdict = o, tlsstate.Verdict{}
	if p.id.IsZero() {
		return false
	}
	var after tlsstate.History
	p.verdict, after = tlsstate.Learn(p.history, o, t.rule)
	p.verdict.Identity = p.id
	return after != p.history
}

// judgeSender judges the session for the sender that it claims. Where the
// address or the domain is a downgrade already nobody waits for a proof.
func (r *Ratchet) judgeSender(t *trial) {
	changes := t.judgeIdentity(&t.sender, t.senderObservation())
	if t.claimed.Identity.IsZero() { // there is none, or it is proven
		return
	}
	t.claimed.Known = t.sender.history != tlsstate.History{}
	alreadyDowngraded := t.address.verdict.Outcome == tlsstate.Downgraded || t.domain.verdict.Outcome == tlsstate.Downgraded
	if t.sender.verdict.Outcome == tlsstate.Downgraded && (alreadyDowngraded || t.Level > tlsstate.Plaintext || !t.dry && !r.proves(t.claimed)) {
		t.sender.verdict = tlsstate.Verdict{} // claimed, not proven
	}
	if changes && !t.dry && !r.o.Senders.Tried(t.claimed) {
		t.claim, t.Changes = t.claimed, true
	}
}

// named reports whether the SPF record of the domain names the address. It may ask
// DNS.
func (r *Ratchet) named(t *trial) bool {
	c, ok := r.hostClaim(t)
	c.Known = true
	return ok && !t.dry && !t.recalled && !r.o.Senders.Tried(c) && r.proves(c)
}

// hostClaim returns the claim that the SPF record of the domain names the
// address.
func (r *Ratchet) hostClaim(t *trial) (c spf.Claim, ok bool) {
	domain := t.Peer.Domain
	if r.o.Senders == nil || domain.IsZero() {
		return c, false
	}
	c, ok = spf.ClaimOf(&t.Peer, "postmaster@"+domain.Name)
	c.Identity = domain // no claim of a sender's: neither waits for the other
	return c, ok
}

// proves reports whether SPF proves the claim. It may ask DNS.
func (r *Ratchet) proves(c spf.Claim) bool {
	return r.o.Senders.Prove(context.Background(), c) == spf.Proven
}
