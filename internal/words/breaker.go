package words

import "tlsratchet/internal/ratchet"

// Answer says what an answer of the circuit breaker does to mail.
func Answer(a ratchet.Answer) string {
	switch a {
	case ratchet.Softened:
		return "reject is tempfail, but for [[peer]] rows"
	case ratchet.Suspended:
		return "nothing is refused or held, but for [[peer]] rows; downgrades get a header at most"
	case ratchet.Excused:
		return "our own TLS was broken lately and this peer was not seen encrypted since; a header at most"
	}
	return "actions are as configured"
}

// Breaker says what the state of the circuit breaker means, and what follows
// for mail. An operator's override comes before what was found.
func Breaker(s *ratchet.BreakerState) string {
	switch {
	case s.Override != nil:
		return "set by an operator: " + Answer(*s.Override)
	case s.Repaired():
		return "our own STARTTLS was broken and works again; until downgrades are few, " + Answer(s.Answer)
	case s.Answer == ratchet.Softened:
		return "many pinned domains come in clear and our own STARTTLS works: somebody may strip TLS close to us; " + Answer(s.Answer)
	case s.Answer == ratchet.Suspended:
		return "many pinned domains come in clear and our own STARTTLS seems broken; " + Answer(s.Answer)
	}
	return "few downgrades: " + Answer(ratchet.Armed)
}
