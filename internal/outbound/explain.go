package outbound

import (
	"fmt"
	"time"

	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// Explanation is what would be answered for a destination now, and why.
type Explanation struct {
	Destination string `json:"destination"`
	// Encrypt reports whether the answer is "encrypt".
	Encrypt bool `json:"encrypt"`
	// Rules are the steps to it, a sentence each.
	Rules []string `json:"rules"`
}

// Explain returns what would be answered for a destination now.
func (b *Outbound) Explain(key string) (e Explanation, err error) {
	domain, err := DestinationOf(key)
	if err != nil {
		return e, err
	}
	n := b.names.find([]byte(domain))
	h, err := b.o.Histories.Load(n.id)
	if err != nil {
		return e, fmt.Errorf("loading %s: %w", n.id, err)
	}
	now, s := b.o.Now(), b.settings.Load()
	rule := s.Rules.For(noAddr, domain)
	v := stripped(h, tlsstate.DayOf(now), rule)
	e = Explanation{Destination: domain, Encrypt: b.holds(n, h, now)}
	add := func(format string, args ...any) { e.Rules = append(e.Rules, fmt.Sprintf(format, args...)) }
	if h.Last == 0 {
		add("No delivery to %s is known.", domain)
	} else {
		add("Deliveries to %s are known from %s to %s.", domain, h.First, h.Last)
	}
	add("%s", pinWords(&v, s))
	switch {
	case rule.Exempt:
		add("A [[send]] row exempts it.")
	case rule.Peer:
		add("A [[send]] row sets the action %s.", word(rule.Stripped))
	default:
		add("The action is %s.", word(rule.Stripped))
	}
	if s.Permission.Reason != "" {
		add("Postfix's own settings forbid holding mail: %s.", s.Permission.Reason)
	}
	if why := b.Blind(); why != "" {
		add("Only rows of [[send]] are held: %s.", why)
	} else if why := n.blind(now); why != "" && !v.Required {
		add("It is not held: %s.", why)
	}
	o := b.outage.state()
	if !o.Since.IsZero() {
		add("Since %s many destinations fail at once, as in an outage of our own network.", o.Since.UTC().Format(time.RFC3339))
	}
	if o.Override != "" {
		add("%s", words.Sentence(overrideWords[o.Override]))
	}
	if e.Encrypt {
		add(`The answer to Postfix is "encrypt": without TLS its mail waits.`)
	} else {
		add("The answer to Postfix is that nothing is known: mail is sent as without tlsratchet.")
	}
	return e, nil
}

// pinWords returns what a delivery in clear would mean.
func pinWords(v *tlsstate.Verdict, s *Settings) string {
	switch {
	case v.Required:
		return fmt.Sprintf("The configuration requires %s of it.", v.Pin)
	case v.Outcome == tlsstate.Downgraded && v.Pin < s.Least:
		return fmt.Sprintf("It is pinned at %s since %s, below [outbound] least = %q.", v.Pin, v.Since, s.Least)
	case v.Outcome == tlsstate.Downgraded:
		return fmt.Sprintf("It is pinned at %s since %s: met %s.", v.Pin, v.Since, words.On(v.Days, v.Last))
	case v.State > tlsstate.PinHolds:
		return fmt.Sprintf("Its pin at %s is %s: below it on %d days since %s.", v.Pin, v.State, v.Below, v.Last)
	}
	return "It has no pin."
}
