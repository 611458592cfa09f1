package admin

import (
	"fmt"
	"math/bits"
	"strings"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// StripLegend says what the characters of [Detail.Strip] mean.
const StripLegend = "0 in clear, w weak TLS, 2 TLSv1.2, 3 TLSv1.3 (the worst of the day); - not seen"

const stripMarks = "0w23"

// row sums a history up.
func row(id tlsstate.Identity, h tlsstate.History, rule *tlsstate.Policy, today tlsstate.Day) Row {
	r := Row{Identity: id.String(), First: h.First.String(), Last: h.Last.String(), Days: map[string]int{}}
	if id.Kind == tlsstate.Address {
		r.Host = clean.Text(h.Name.Text, 255)
	}
	for l := tlsstate.Plaintext; l <= tlsstate.TLS13; l++ {
		if n := bits.OnesCount64(h.SeenUntil(l, today)); n > 0 {
			r.Days[l.String()] = n
		}
	}
	if l, state := topPin(&h, rule, today); l > tlsstate.Plaintext {
		r.Pin, r.State, r.Since = l.String(), state.String(), h.Pin(l).Formed
	}
	return r
}

// topPin returns the level of the highest pin that holds, or else of the highest
// that formed, with its state; Plaintext if none did.
func topPin(h *tlsstate.History, rule *tlsstate.Policy, today tlsstate.Day) (top tlsstate.Level, state tlsstate.PinState) {
	for _, p := range h.PinsOn(rule, today) { // the certificate's is not above any level
		if p.Level > top && (p.State == tlsstate.PinHolds || p.State != tlsstate.PinNone && state != tlsstate.PinHolds) {
			top, state = p.Level, p.State
		}
	}
	return top, state
}

// pins lists the pins up to the policy's level, the lowest first, and the
// certificate's.
func pins(h *tlsstate.History, rule *tlsstate.Policy, today tlsstate.Day) (all []PinDetail) {
	for _, p := range h.PinsOn(rule, today) {
		name := p.Level.String()
		switch {
		case p.Level > rule.PinUpTo:
			continue
		case p.Level == tlsstate.Plaintext:
			name = "certificate"
		}
		all = append(all, PinDetail{Level: name, State: p.State.String(), Pin: p.Pin, words: words.Pin(p.Pin, p.State, p.Next, rule)})
	}
	return all
}

func detail(id tlsstate.Identity, h tlsstate.History, rule *tlsstate.Policy, today tlsstate.Day) Detail {
	d := Detail{Row: row(id, h, rule, today), Raw: h, Strip: strip(h, today), Pins: pins(&h, rule, today)}
	if h.Tombstone() {
		d.Words = []string{"Forgotten by an operator, and not seen since."}
		return d
	}
	d.Words = append(d.Words, fmt.Sprintf("First seen on %s, last on %s.", h.First, h.Last))
	if d.Host != "" {
		d.Words = append(d.Words, fmt.Sprintf("Its name was %s, last confirmed by DNS on %s.", d.Host, h.Name.Day))
	}
	for _, p := range d.Pins {
		if p.Formed != 0 {
			d.Words = append(d.Words, fmt.Sprintf("Pinned at %s since %s, last met on %s: %s.", p.Level, p.Formed, p.Met, p.words))
		}
	}
	if d.Pin == "" {
		d.Words = append(d.Words, fmt.Sprintf("No pin: one forms after %s with TLS, if no session in the window was below it.", words.Count(rule.PinAfterDays, "day")))
	}
	return d
}

// strip draws the 64 days up to today.
func strip(h tlsstate.History, today tlsstate.Day) string {
	marks := []byte(strings.Repeat("-", tlsstate.Window))
	for l := tlsstate.TLS13 + 1; l > 0; l-- { // the worst at last
		for set := h.SeenUntil(l-1, today); set != 0; set &= set - 1 {
			marks[tlsstate.Window-1-bits.TrailingZeros64(set)] = stripMarks[l-1]
		}
	}
	return string(marks)
}

// answer puts an explanation in words.
func answer(s *ratchet.Session, e *ratchet.Explanation) Answer {
	d := &e.Decision
	a := Answer{Outcome: d.Outcome.String(), Action: d.Action.String(), Rules: []string{asked(s, e.Identities)}}
	if !d.Identity.IsZero() {
		a.Speaks = d.Identity.String()
	}
	if e.Policy.Row != "" {
		a.Rules = append(a.Rules, fmt.Sprintf("The row of %s in the configuration applies.", clean.Text(e.Policy.Row, 255)))
	}
	for i := range e.Identities {
		a.Rules = append(a.Rules, partWords(&e.Identities[i], &e.Policy))
	}
	if d.Outcome != tlsstate.Downgraded {
		a.Rules = append(a.Rules, fmt.Sprintf("No downgrade (%s): the message is accepted.", words.Outcome(d)))
	} else {
		a.Kind = d.Kind.String()
		a.Rules = append(a.Rules, fmt.Sprintf("%s decides: a downgrade, %s. The policy's action is %s; what is known of this identity allows %s at most. So it is %s.",
			d.Identity, d.Kind, e.Policy.Action(d.Kind), d.Cap, d.Unlimited))
		switch {
		case d.Breaker == ratchet.Armed:
		case e.Policy.Peer || d.Required:
			a.Rules = append(a.Rules, fmt.Sprintf("The answer of the circuit breaker is %s, which limits no row of the configuration: %s.", d.Breaker, d.Action))
		default:
			a.Rules = append(a.Rules, fmt.Sprintf("The answer of the circuit breaker is %s (%s): %s.", d.Breaker, words.Answer(d.Breaker), d.Action))
		}
	}
	if !s.Peer.IP.IsValid() && s.Peer.Host != "" {
		a.Rules = append(a.Rules, "Only the name was judged. The address may have a pin of its own: add --client ADDRESS.")
	}
	return a
}

func asked(s *ratchet.Session, judged []ratchet.Part) string {
	who := clean.Text(s.Peer.Host, 255)
	switch {
	case s.Peer.IP.IsValid():
		who = strings.TrimSpace(who + " [" + s.Peer.IP.String() + "]")
	case who == "" && len(judged) > 0: // a sender
		who = judged[0].Verdict.Identity.String() + ", by an address never seen"
	}
	if s.Level == tlsstate.Plaintext {
		return fmt.Sprintf("A session in clear from %s.", who)
	}
	return fmt.Sprintf("A session with %s from %s.", clean.Text(s.Protocol, 40), who)
}

func partWords(p *ratchet.Part, rule *tlsstate.Policy) string {
	if p.Verdict.Outcome == tlsstate.New {
		return fmt.Sprintf("%s: never seen.", p.Verdict.Identity)
	}
	text := words.Verdict(&p.Verdict) + "."
	for i, state := range p.Pins {
		if l := tlsstate.Weak + tlsstate.Level(i); state != tlsstate.PinNone {
			text += fmt.Sprintf(" Pin at %s: %s.", l, words.Pin(p.History.Pin(l), state, state, rule))
		}
	}
	switch p.Verdict.Identity.Kind {
	case tlsstate.Sender:
		text += " It counts where SPF proves it."
	case tlsstate.Domain:
		text += fmt.Sprintf(" Addresses with TLS under it: about %d, in about %s: %s.",
			p.History.Addresses.Estimate(), words.Count(p.History.Networks.Estimate(), "network"), breadth(&p.Verdict))
	}
	return text
}

// breadth is what a domain's addresses say of the next one.
func breadth(v *tlsstate.Verdict) string {
	switch {
	case v.Broad():
		return "broad"
	case v.Senders.Stay():
		return "not broad, each sender keeps to one address"
	}
	return "not broad"
}
