package status

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/incident"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// peerView is one peer, or why there is none.
type peerView struct {
	// Asked is false where no name was given; Problem is what is wrong with it.
	Asked   bool
	Problem string

	Identity tlsstate.Identity
	History  tlsstate.History
	Known    bool
	Strip    strip
	Pins     []pinView
	// Wish is what the configuration requires of it, or "".
	Wish string
	// Clear is what a session in clear would lead to now.
	Clear string
	// Incidents are its newest, More is how many others there are.
	Incidents []incident.Incident
	More      int
}

// maxOf is how many incidents of one peer are shown.
const maxOf = 10

func (p Page) peer(name string) peerView {
	if name = strings.TrimSpace(name); name == "" {
		return peerView{}
	}
	id, err := p.Resolve(name)
	if err != nil {
		return peerView{Asked: true, Problem: clean.Text(err.Error(), maxName)}
	}
	v := peerView{Asked: true, Identity: id}
	if v.History, err = p.Load(id); err != nil {
		v.Problem = "The memory could not be read: " + clean.Text(err.Error(), maxName)
		return v
	}
	v.Incidents, v.More = first(p.Of(id), maxOf)
	if v.Known = v.History != (tlsstate.History{}); v.Known {
		p.judge(&v)
	}
	return v
}

// judge fills in what the policy makes of the history today.
func (p Page) judge(v *peerView) {
	h, now := &v.History, p.Now()
	today := tlsstate.DayOf(now)
	v.Strip = newStrip(h, today)
	inClear, err := ratchet.SessionOf(v.Identity, now, tlsstate.Security{})
	if err != nil { // it sends us no mail
		v.addPins(p.Rules(v.Identity.Kind).Default(), today)
		return
	}
	e, err := p.Explain(inClear)
	if err != nil {
		v.Problem = "The memory could not be read: " + clean.Text(err.Error(), maxName)
		return
	}
	v.addPins(&e.Policy, today)
	v.Wish, v.Clear = wish(&e.Policy), meaning(&e)
}

func (v *peerView) addPins(rule *tlsstate.Policy, today tlsstate.Day) {
	all := v.History.PinsOn(rule, today)
	slices.Reverse(all[:len(all)-1]) // the certificate stays the last
	for _, p := range all {
		if p.Formed != 0 || p.Void != 0 && p.Level > tlsstate.Plaintext {
			v.Pins = append(v.Pins, newPinView(p, rule))
		}
	}
}

// wish is what the configuration requires of a peer beyond the policy.
func wish(rule *tlsstate.Policy) string {
	switch {
	case rule.Exempt:
		return "The configuration exempts it: it is not judged, and nothing is learned of it."
	case rule.Least > tlsstate.Plaintext:
		return fmt.Sprintf("The configuration requires %s or better of it, whatever its history.", rule.Least)
	case rule.Peer:
		return "A [[peer]] row of the configuration applies to it."
	}
	return ""
}

// meaning is what a session in clear would lead to.
func meaning(e *ratchet.Explanation) string {
	d := &e.Decision
	switch {
	case d.Outcome != tlsstate.Downgraded:
		return fmt.Sprintf("A session in clear now would be no downgrade: the verdict would be %s.", words.Outcome(d))
	case d.Unlimited != d.Action:
		return fmt.Sprintf("A session in clear now would be a downgrade; the action would be %s: the policy asks for %s, but the answer of the circuit breaker is %s.", d.Action, d.Unlimited, d.Breaker)
	}
	return fmt.Sprintf("A session in clear now would be a downgrade; the action would be %s.", d.Action)
}

// pinView is one pin, and whether it holds, in the words of explain.
type pinView struct {
	Name, Text string
	// Mark is good, fair or none.
	Mark string
	Pin  tlsstate.Pin
}

func newPinView(p tlsstate.PinOn, rule *tlsstate.Policy) pinView {
	v := pinView{Name: "client certificate", Text: words.Pin(p.Pin, p.State, p.Next, rule), Mark: "none", Pin: p.Pin}
	if p.Level > tlsstate.Plaintext {
		v.Name = words.AtLeast(p.Level)
	}
	if p.State == tlsstate.PinHolds {
		v.Mark = "good"
		if p.Next != tlsstate.PinHolds {
			v.Mark = "fair"
		}
	}
	return v
}

// strip is the 64 days of one peer: a row a level, the best on top.
type strip struct {
	Height int
	Words  string
	Rows   []stripRow
	Marks  []mark
}

type stripRow struct {
	Level tlsstate.Level
	TextY int
	Boxes []box
	Days  []tlsstate.Day
}

// The measures of the strip: a row is so high, and the next one is so far below.
const (
	stripRowHeight = 14
	stripRowStep   = 18
)

func newStrip(h *tlsstate.History, today tlsstate.Day) strip {
	s := strip{Height: levels*stripRowStep + 22, Marks: marks(today)}
	clear := h.SeenUntil(tlsstate.Plaintext, today)
	all := clear
	for l := levels - 1; l >= 0; l-- {
		set := h.SeenUntil(tlsstate.Level(l), today)
		all |= set
		s.Rows = append(s.Rows, newStripRow(l, len(s.Rows)*stripRowStep, set, today))
	}
	s.Words = fmt.Sprintf("Seen on %d of the last 64 days; in clear on %d of them.", bits.OnesCount64(all), bits.OnesCount64(clear))
	return s
}

func newStripRow(l, top int, set uint64, today tlsstate.Day) stripRow {
	r := stripRow{Level: tlsstate.Level(l), TextY: top + stripRowHeight - 3}
	for ago := range tlsstate.Window {
		level := -1
		if set>>ago&1 == 1 {
			level = l
			r.Days = append(r.Days, today-tlsstate.Day(ago))
		}
		r.Boxes = append(r.Boxes, newBox(level, ago, float64(top), stripRowHeight))
	}
	return r
}
