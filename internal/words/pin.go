package words

import (
	"fmt"

	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

var levels = [...]struct{ name, atLeast string }{
	tlsstate.Plaintext: {"in clear", "in clear or better"}, tlsstate.Weak: {"weak TLS", "any TLS"},
	tlsstate.TLS12: {"TLS 1.2", "TLS 1.2 or better"}, tlsstate.TLS13: {"TLS 1.3", "TLS 1.3"},
}

// Level names a level for people.
func Level(l tlsstate.Level) string { return levels[l].name }

// AtLeast names the levels from l on, as a pin expects them.
func AtLeast(l tlsstate.Level) string { return levels[l].atLeast }

// Pin states whether a pin holds today, and why not. next is its state for a
// session below it today: one that holds may be released by that very session.
func Pin(p tlsstate.Pin, today, next tlsstate.PinState, rule *tlsstate.Policy) string {
	switch today {
	case tlsstate.PinHolds:
		if next == tlsstate.PinReleased || next == tlsstate.PinRelaxed {
			return fmt.Sprintf("holds, but not against a session below it today: that one is accepted (%s)", whyNot(next, rule))
		}
		return "holds"
	case tlsstate.PinNone:
		switch {
		case p.Formed == 0:
			return "not formed"
		case p.Formed <= p.Void:
			return fmt.Sprintf("dropped by an operator on %s; new days form a new one", p.Void)
		}
		return "not used: the policy pins up to " + rule.PinUpTo.String()
	}
	return fmt.Sprintf("%s: %s", today, whyNot(today, rule))
}

func whyNot(s tlsstate.PinState, rule *tlsstate.Policy) string {
	switch s {
	case tlsstate.PinLapsed:
		return fmt.Sprintf("not met for %s", Count(rule.PinMaxAgeDays, "day"))
	case tlsstate.PinContested:
		return "a session below it was seen before it formed"
	case tlsstate.PinReleased:
		return fmt.Sprintf("below it on %s since it was last met, or on each of the last five", Count(rule.ReleaseAfterDays, "day"))
	}
	return fmt.Sprintf("below it on %d or more of the last %d days: only partly encrypted", rule.RelaxAfterDays, tlsstate.Window)
}

var answers = [...]string{
	ratchet.Armed:     "actions are as configured",
	ratchet.Softened:  "reject is tempfail, but for [[peer]] rows",
	ratchet.Suspended: "nothing is refused or held, but for [[peer]] rows; downgrades get a header at most",
	ratchet.Excused:   "our own TLS was broken lately and this peer was not seen encrypted since; a header at most",
}

// Answer states what an answer of the circuit breaker does to mail.
func Answer(a ratchet.Answer) string { return answers[a] }

// Breaker states what the state of the circuit breaker means, and what follows
// for mail. An operator's override comes before what was found.
func Breaker(s *ratchet.BreakerState) string {
	switch {
	case s.Override != nil:
		return "set by an operator: " + Answer(*s.Override)
	case s.Repaired():
		return "our own STARTTLS was broken and works again; until downgrades are few, " + Answer(s.Answer)
	case s.Answer == ratchet.Softened:
		return "many pinned domains downgrade and our own STARTTLS works, as far as is known: somebody may strip TLS close to us; " + Answer(s.Answer)
	case s.Answer == ratchet.Suspended && !s.BrokenTo.Before(s.Since):
		return "our own STARTTLS seems broken: the self-check got no TLS; " + Answer(s.Answer)
	case s.Answer == ratchet.Suspended:
		return "our own STARTTLS seems broken: many pinned domains came in clear, and no encrypted session since; " + Answer(s.Answer)
	}
	return "few downgrades: " + Answer(ratchet.Armed)
}
