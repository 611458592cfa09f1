package tlsstate

// Judge returns what a session means for one identity, and what is remembered
// after it. The verdict comes from the history before the session. Judge is
// pure, allocates nothing, and only ever grows the history.
func Judge(h History, o Observation, rule *Policy) (Verdict, History) {
	v := Verdict{Seen: o.Security}
	if rule.Exempt {
		v.Outcome = Exempt
		return v, h
	}
	h.evidence(&v, &o)
	if o.Level < rule.PinUpTo {
		v.faithful = h.faithful(&o, rule)
	}
	h.verdict(&v, &o, rule)
	switch {
	case o.Level < rule.Least:
		v.require(rule.Least)
	case o.CertWrong && rule.Unauthenticated >= rule.Action(v.Kind):
		v.require(Plaintext)
		v.Kind = Unauthenticated
	}
	h.renewCertificate(&o, rule)
	after := h
	after.record(&o)
	if after == h {
		return v, h
	}
	after = after.Form(rule)
	if v.Outcome != Downgraded && h.raised(&v, &after) && v.Outcome != New {
		v.Outcome = Raised
	}
	return v, after
}

// Learn is [Judge] for a session that comes now. One below a pin that is dated
// before that formed teaches nothing: only a clock that jumped back brings it, and
// it must not contest the pin. Judge can't leave it out, because what was seen
// must not depend on the order.
func Learn(h History, o Observation, rule *Policy) (Verdict, History) {
	v, after := Judge(h, o, rule)
	if h.precedes(&o) {
		return v, h
	}
	return v, after
}

// precedes reports whether a session below a pin is dated before that formed.
func (h *History) precedes(o *Observation) bool {
	for l := TLS13; l > o.Level; l-- {
		if o.Day < h.pin(l).Formed {
			return true
		}
	}
	_, without := o.certificate(h.Cert)
	return without && o.Day < h.CertPin.Formed
}

// Offers reports whether a listener with this history offers STARTTLS: a TLS
// session was seen on it within 180 days. Where it doesn't, a session in clear
// says nothing of the peer.
func (h History) Offers(today Day) bool {
	return today.sub(h.pin(Weak).Met) <= offersDays
}

const offersDays = 180

// renewCertificate makes another certificate the peer's, where no pin on the one
// before holds, or where pin_certificates has changed.
func (h *History) renewCertificate(o *Observation, rule *Policy) {
	if !o.Certificate || o.CertMark == 0 || o.CertMark == h.Cert.Mark || o.Day <= h.Cert.Since || h.Cert.Mark == 0 {
		return
	}
	if !h.Cert.by(rule.PinCertificates) || h.CertPinState(rule, o.Day, true) != PinHolds {
		h.Cert = Certificate{Since: o.Day, Mark: o.CertMark}
	}
}

func (h *History) evidence(v *Verdict, o *Observation) {
	v.Marks = h.Marks
	v.HasTLS = h.pin(Weak).Met > 0
	clear := h.Seen[Plaintext]
	v.KnownPlaintext = !v.HasTLS && count(clear) >= plaintextDays
	if o.Level == Plaintext {
		v.OftenBare = count(slide(clear, o.Day.sub(h.Last))|bit(max(h.Last, o.Day).sub(o.Day))) >= BareDays
	}
}

// faithful returns the highest level that the identity kept, with a few days below
// it at most, until it came below it lately; Plaintext for none. Like a pin, this is
// released by ReleaseAfterDays days below. The day of the session on trial counts
// as one of those, whatever else came on it: all sessions of a day are judged alike.
func (h *History) faithful(o *Observation, rule *Policy) Level {
	for l := min(rule.PinUpTo, TLS13); l >= Weak; l-- {
		met := h.pin(l).Met
		if met == 0 || o.Day.sub(met) > rule.PinMaxAgeDays {
			continue
		}
		s := h.level(l, o.Day)
		today := bit(s.end.sub(o.Day))
		late := s.after(met).below | today
		if count(s.below&^late) < lapses && count(late) < rule.ReleaseAfterDays {
			return l
		}
	}
	return Plaintext
}

// lapses is how many days below make an address with too little TLS for a pin
// one that its domain's pin says little of: fewer may have been an attack.
const lapses = 4

// verdict holds the session against the pins, the highest first.
func (h *History) verdict(v *Verdict, o *Observation, rule *Policy) {
	v.Outcome = Learning
	if h.Last == 0 {
		v.Outcome = New
		return
	}
	for l := min(rule.PinUpTo, TLS13); l >= Weak; l-- {
		p, below := *h.pin(l), o.Level < l
		if !below { // it holds again at once when TLS returns
			p.Met = max(p.Met, o.Day)
		}
		s := h.level(l, o.Day)
		state := s.state(p, rule, o.Day, below)
		if state == PinNone {
			continue
		}
		if state == PinHolds || (below && v.State == PinNone) {
			v.State = state
			s.show(v, p, o.Day, below)
			v.Pin = l
		}
		if state == PinHolds {
			v.meet(below)
			break
		}
	}
	if v.Outcome != Downgraded {
		h.authenticated(v, o, rule)
	}
}

// meet sets the outcome of a session that meets a pin that holds, or doesn't.
func (v *Verdict) meet(below bool) {
	switch {
	case !below:
		v.Outcome = Steady
	case v.Seen.Level == Plaintext:
		v.Outcome, v.Kind = Downgraded, Stripped
	default:
		v.Outcome, v.Kind = Downgraded, Weakened
	}
}

// authenticated holds the session against the pin on the client certificate.
func (h *History) authenticated(v *Verdict, o *Observation, rule *Policy) {
	if _, without := o.certificate(h.Cert); !without || h.CertPin.Formed == 0 {
		return
	}
	s := h.certificate(o.Day)
	if s.state(h.certPin(rule), rule, o.Day, true) != PinHolds {
		return
	}
	v.Outcome, v.Kind, v.State = Downgraded, Unauthenticated, PinHolds
	s.show(v, h.CertPin, o.Day, true)
}

// show puts the evidence for one pin into the verdict.
func (s sights) show(v *Verdict, p Pin, today Day, below bool) {
	v.Since, v.Last, v.Days = p.Formed, p.Met, count(s.met)
	if below {
		s.below |= bit(s.end.sub(today))
	}
	v.Below = count(s.after(p.Met).below)
}

// require makes the verdict that of a standing wish.
func (v *Verdict) require(least Level) {
	v.meet(true)
	v.Pin, v.Required, v.State = least, true, PinNone
	v.Since, v.Last, v.Days, v.Below = 0, 0, 0, 0
}

// raised notes the highest pin that formed with this session, and reports whether
// one did.
func (h *History) raised(v *Verdict, after *History) bool {
	for l := TLS13; l >= Weak; l-- {
		if p := *after.pin(l); p.Formed != h.pin(l).Formed {
			v.Pin, v.State = l, PinHolds
			after.level(l, after.Last).show(v, p, after.Last, false)
			return true
		}
	}
	return after.CertPin.Formed != h.CertPin.Formed
}
