package tlsstate

import "math/bits"

// PinState is whether a pin holds, and why not.
type PinState uint8

// The states of a pin, in the order in which they are found.
const (
	// PinNone: none has formed, or what formed is void.
	PinNone PinState = iota
	// PinHolds: the peer is held to it.
	PinHolds
	// PinLapsed: not met for PinMaxAgeDays.
	PinLapsed
	// PinContested: a session below it was seen in the 64 days before it
	// formed; another host knew better.
	PinContested
	// PinReleased: the peer stayed below it for ReleaseAfterDays days since it
	// was last met.
	PinReleased
	// PinRelaxed: the peer was below it on RelaxAfterDays days of the last 64;
	// see [Policy.RelaxAfterDays].
	PinRelaxed
)

var pinStateNames = [...]string{"none", "holds", "lapsed", "contested", "released", "relaxed"}

// String returns the state as one lower-case word.
func (s PinState) String() string { return word(s, pinStateNames[:]) }

// sights is what was seen with regard to one threshold: the days at or above
// it and the days below, both ending at end.
type sights struct {
	end        Day
	met, below days
	// mostly reports that this is a domain of which too few addresses came below
	// for the domain as a whole to be only partly encrypted.
	mostly bool
}

// level returns the sights at the threshold l, with the day of the session on
// trial inside the window.
func (h *History) level(l Level, today Day) sights {
	s := sights{end: max(h.Last, today), mostly: !h.partly()}
	for seen, set := range h.Seen {
		if Level(seen) < l {
			s.below |= set
		} else {
			s.met |= set
		}
	}
	return s.slide(h.Last)
}

// certificate returns the sights of the pin on the client certificate.
func (h *History) certificate(today Day) sights {
	s := sights{end: max(h.Last, today), met: h.CertDays, below: h.NoCertDays}.slide(h.Last)
	if h.Cert.Since > 0 { // what came before was another certificate
		s = s.after(h.Cert.Since - 1)
	}
	return s
}

// certPin is the pin on the certificate; none if it formed on another one, or on
// what certificates are not known by.
func (h *History) certPin(rule *Policy) Pin {
	p := h.CertPin
	if p.Formed < h.Cert.Since || !h.Cert.by(rule.PinCertificates) {
		p.Formed = 0
	}
	return p
}

func (s sights) slide(last Day) sights {
	n := s.end.sub(last)
	s.met, s.below = slide(s.met, n), slide(s.below, n)
	return s
}

// after returns the sights of the days after d.
func (s sights) after(d Day) sights {
	n := s.end.sub(d)
	s.met, s.below = newest(s.met, n), newest(s.below, n)
	return s
}

// state reports whether the pin p holds on the given day. below says that the
// session on trial is below the pin: its day counts with the days below, so
// that all of a day's sessions are judged alike.
func (s sights) state(p Pin, rule *Policy, today Day, below bool) PinState {
	if p.Formed <= p.Void { // or never
		return PinNone
	}
	if today.sub(p.Met) > rule.PinMaxAgeDays {
		return PinLapsed
	}
	s = s.after(p.Void)
	if s.contested(p.Formed) {
		return PinContested
	}
	if below && today > p.Void {
		s.below |= bit(s.end.sub(today))
	}
	if s.below == 0 { // as nearly always
		return PinHolds
	}
	if count(s.after(p.Met).below) >= rule.ReleaseAfterDays || !s.mostly && s.stuck(today, rule) {
		return PinReleased
	}
	if !s.mostly && s.habit() >= rule.RelaxAfterDays {
		return PinRelaxed
	}
	return PinHolds
}

// queueDays is how long senders keep a message that is refused for now.
const queueDays = 5

// stuck reports whether the peer was below the pin on each of the last
// queueDays days: a message of it may be about to come back to its sender,
// whatever else came.
func (s sights) stuck(today Day, rule *Policy) bool {
	all := days(1<<queueDays-1) << s.end.sub(today) // the end is never before today
	return rule.ReleaseAfterDays <= queueDays && s.below&all == all
}

// maxRun is for how many days a run of days below counts: one attack, however
// long, does not make a peer an only partly encrypted one.
const maxRun = 3

// habit counts the days below. Of those with no day in between on which the
// pin was met only maxRun count.
func (s sights) habit() (n int) {
	run, since := 0, days(0) // since is the days newer than the one before
	for rest := s.below; rest != 0; rest &= rest - 1 {
		newer := rest&-rest - 1
		if s.met&newer&^since != 0 {
			run = 0
		}
		since = newer
		if run++; run <= maxRun {
			n++
		}
	}
	return n
}

// contested reports whether a day below was seen before the pin formed. The
// window is 64 days long, so none of them is older than that.
func (s sights) contested(formed Day) bool {
	return s.below&^newest(s.below, s.end.sub(formed)+1) != 0
}

// PinState reports whether the pin at level l (Weak to TLS13) holds on the given
// day, for a session that is below it or not.
func (h History) PinState(l Level, rule *Policy, today Day, below bool) PinState {
	if l > rule.PinUpTo {
		return PinNone
	}
	return h.level(l, today).state(*h.pin(l), rule, today, below)
}

// CertPinState reports the same of the pin on the client certificate.
func (h History) CertPinState(rule *Policy, today Day, without bool) PinState {
	return h.certificate(today).state(h.certPin(rule), rule, today, without)
}

// Form returns h with the pins that its record bears out. It is part of
// [Judge]; a store calls it too, on the merged record, so that no pin forms on
// a copy that doesn't know all.
func (h History) Form(rule *Policy) History {
	for l := Weak; l <= min(rule.PinUpTo, TLS13); l++ {
		if h.PinState(l, rule, h.Last, false) != PinHolds && h.ripe(l, rule) {
			h.pin(l).Formed = h.Last
		}
	}
	s := h.certificate(h.Last)
	if h.Cert.by(rule.PinCertificates) && s.state(h.certPin(rule), rule, h.Last, false) != PinHolds && s.after(h.CertPin.Void).ripe(rule) {
		h.CertPin.Formed = h.Last
	}
	return h
}

// ripe reports whether a pin at level l is borne out by what was seen after its
// void.
func (h *History) ripe(l Level, rule *Policy) bool {
	void := h.pin(l).Void
	weeks := h.Last.week() - void.week()
	if count(newest(h.WeekPlain, weeks)) >= plainWeeks {
		return false
	}
	s := h.level(l, h.Last).after(void)
	if s.ripe(rule) {
		return true
	}
	// The weeks know only that there was some TLS: they bear out no more.
	return l == Weak && s.below == 0 && rare(newest(h.WeekTLS, weeks), rule)
}

// What a rare sender needs for a pin: two weeks with TLS fewer than others need
// days, and three at least, if they span rareSpan weeks.
const (
	rareFewer = 2
	rareLeast = 3
	rareSpan  = 6
)

// rare reports whether the weeks with TLS are enough for a pin.
func rare(weeks days, rule *Policy) bool {
	n, span := count(weeks), bits.Len64(weeks)-1 // the last week has TLS, or there was plaintext of late
	return n >= rule.PinAfterDays || n >= max(rule.PinAfterDays-rareFewer, rareLeast) && span >= rareSpan
}

// plainWeeks is in how many of the last 64 weeks plaintext makes a peer one
// that is never pinned.
const plainWeeks = 2

func (s sights) ripe(rule *Policy) bool {
	return s.below == 0 && count(s.met) >= rule.PinAfterDays
}
