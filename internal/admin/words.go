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
	for l, set := range h.Seen {
		if n := bits.OnesCount64(set); n > 0 {
			r.Days[tlsstate.Level(l).String()] = n
		}
	}
	if p, ok := topPin(h, rule, today); ok {
		r.Pin, r.State, r.Since = p.Level, p.State, p.Formed
	}
	return r
}

// topPin returns the highest pin that holds, or else the highest that formed.
func topPin(h tlsstate.History, rule *tlsstate.Policy, today tlsstate.Day) (top PinDetail, ok bool) {
	for _, p := range pins(h, rule, today) {
		if p.Formed == "" || p.State == tlsstate.PinNone.String() || p.Level == certificate {
			continue
		}
		if !ok || p.State == tlsstate.PinHolds.String() || top.State != tlsstate.PinHolds.String() {
			top, ok = p, true
		}
	}
	return top, ok
}

const certificate = "certificate"

// pins lists the pins up to the policy's level, the lowest first, and the
// certificate's.
func pins(h tlsstate.History, rule *tlsstate.Policy, today tlsstate.Day) (all []PinDetail) {
	add := func(name string, p tlsstate.Pin, s tlsstate.PinState) {
		d := PinDetail{Level: name, State: s.String()}
		for _, date := range []struct {
			day  tlsstate.Day
			text *string
		}{{p.Formed, &d.Formed}, {p.Met, &d.Met}, {p.Void, &d.Void}} {
			if date.day != 0 {
				*date.text = date.day.String()
			}
		}
		all = append(all, d)
	}
	for l := tlsstate.Weak; l <= min(rule.PinUpTo, tlsstate.TLS13); l++ {
		add(l.String(), h.Pins[l-1], h.PinState(l, rule, today, false))
	}
	add(certificate, h.CertPin, h.CertPinState(rule, today, false))
	return all
}

func detail(id tlsstate.Identity, h tlsstate.History, rule *tlsstate.Policy, today tlsstate.Day) Detail {
	d := Detail{Row: row(id, h, rule, today), Raw: h, Strip: strip(h, today), Pins: pins(h, rule, today)}
	if h.Tombstone() {
		d.Words = []string{"It was forgotten by an operator, and not seen since."}
		return d
	}
	d.Words = append(d.Words, fmt.Sprintf("Seen first on %s, last on %s.", h.First, h.Last))
	for _, p := range d.Pins {
		if s := pinWords(p, rule); s != "" {
			d.Words = append(d.Words, s)
		}
	}
	if d.Pin == "" {
		d.Words = append(d.Words, fmt.Sprintf("No pin: that takes %d days with TLS, and none below it in the window.", rule.PinAfterDays))
	}
	return d
}

func pinWords(p PinDetail, rule *tlsstate.Policy) string {
	if p.Formed == "" {
		return ""
	}
	text := fmt.Sprintf("Pinned at %s since %s, last met on %s: ", p.Level, p.Formed, p.Met)
	switch p.State {
	case tlsstate.PinHolds.String():
		return text + "it holds."
	case tlsstate.PinLapsed.String():
		return text + fmt.Sprintf("lapsed, for it was not met for %d days.", rule.PinMaxAgeDays)
	case tlsstate.PinContested.String():
		return text + "contested by a session below it before it formed."
	case tlsstate.PinReleased.String():
		return text + fmt.Sprintf("released, for the peer stayed below it on %d days.", rule.ReleaseAfterDays)
	case tlsstate.PinRelaxed.String():
		return text + fmt.Sprintf("relaxed, for the peer was below it on %d days of the last 64.", rule.RelaxAfterDays)
	}
	return text + fmt.Sprintf("void since an operator's act on %s.", p.Void)
}

// strip draws the 64 days up to today.
func strip(h tlsstate.History, today tlsstate.Day) string {
	marks := []byte(strings.Repeat("-", tlsstate.Window))
	for i := range marks {
		day := int(today) - (tlsstate.Window - 1 - i)
		ago := int(h.Last) - day
		if ago < 0 || ago >= tlsstate.Window || h.Last == 0 {
			continue
		}
		for l, set := range h.Seen {
			if set>>ago&1 == 1 {
				marks[i] = stripMarks[l]
				break
			}
		}
	}
	return string(marks)
}

// answer puts an explanation in words.
func answer(s *ratchet.Session, e *ratchet.Explanation) Answer {
	d := &e.Decision
	a := Answer{Outcome: d.Outcome.String(), Action: d.Action.String(), Rules: []string{asked(s)}}
	if !d.Identity.IsZero() {
		a.Speaks = d.Identity.String()
	}
	if e.Policy.Peer || e.Policy.Exempt || e.Policy.Least > tlsstate.Plaintext {
		a.Rules = append(a.Rules, "A row of the configuration stands for this peer.")
	}
	for i := range e.Identities {
		a.Rules = append(a.Rules, partWords(&e.Identities[i]))
	}
	if d.Outcome == tlsstate.Downgraded {
		a.Kind = d.Kind.String()
		a.Rules = append(a.Rules, fmt.Sprintf("%s decides: a downgrade, %s. The policy asks for %s, at most %s for this identity: %s.",
			d.Identity, d.Kind, e.Policy.Action(d.Kind), d.Cap, d.Unlimited))
		if d.Breaker != ratchet.Armed {
			a.Rules = append(a.Rules, fmt.Sprintf("The circuit breaker is %s: %s.", d.Breaker, d.Action))
		}
	} else {
		a.Rules = append(a.Rules, fmt.Sprintf("No downgrade (%s): the message goes through.", d.Outcome))
	}
	return a
}

func asked(s *ratchet.Session) string {
	who := clean.Text(s.Peer.Host, 255)
	if s.Peer.IP.IsValid() {
		who = strings.TrimSpace(who + " [" + s.Peer.IP.String() + "]")
	}
	if s.Level == tlsstate.Plaintext {
		return fmt.Sprintf("A session in clear from %s.", who)
	}
	return fmt.Sprintf("A session with %s from %s.", clean.Text(s.Protocol, 40), who)
}

func partWords(p *ratchet.Part) string {
	if p.Verdict.Outcome == tlsstate.New {
		return fmt.Sprintf("%s: never seen.", p.Verdict.Identity)
	}
	text := fmt.Sprintf("%s: %s.", p.Verdict.Identity.Kind, words.Verdict(&p.Verdict))
	for _, line := range p.Pins {
		if line.State != tlsstate.PinNone {
			text += fmt.Sprintf(" Pin at %s: %s.", line.Level, line.State)
		}
	}
	if p.Verdict.Identity.Kind == tlsstate.Domain {
		text += fmt.Sprintf(" About %d addresses in %d networks hold pins under it: %s.",
			p.History.Addresses.Estimate(), p.History.Networks.Estimate(), breadth(p.Verdict.Broad()))
	}
	return text
}

func breadth(broad bool) string {
	if broad {
		return "broad"
	}
	return "not broad"
}
