package tlsstate_test

import (
	"testing"

	. "tlsratchet/tlsstate"
)

func TestViews(t *testing.T) {
	rule := DefaultPolicy()
	h := pinned(&rule)
	var none History
	if none.Best() != Plaintext || none.TopPin(&rule, dayZero) != Plaintext || none.Holds(Weak, &rule, dayZero) {
		t.Error("a peer never seen has a pin")
	}
	if h.Best() != TLS12 || h.TopPin(&rule, dayZero+5) != TLS12 || !h.Holds(TLS12, &rule, dayZero+5) || h.Holds(TLS13, &rule, dayZero+5) {
		t.Errorf("best %s, pinned %s", h.Best(), h.TopPin(&rule, dayZero+5))
	}
	if h.Pin(TLS12).Formed != dayZero+5 {
		t.Errorf("formed %s", h.Pin(TLS12).Formed)
	}
	if got := h.TopPin(&rule, dayZero+185); got != TLS12 {
		t.Errorf("on the last day: %s", got)
	}
	if got := h.TopPin(&rule, dayZero+186); got != Plaintext {
		t.Errorf("after it: %s", got)
	}
	if _, weak := Judge(none, Observation{Day: dayZero, Security: Security{Level: Weak}}, &rule); weak.Best() != Weak {
		t.Errorf("only weak TLS: best %s", weak.Best())
	}
	rule.PinUpTo = Weak
	if got := h.TopPin(&rule, dayZero+5); got != Weak {
		t.Errorf("pinned up to weak: %s", got)
	}
}

// A domain is only partly encrypted where at least two of its addresses, and a
// tenth of them, are bare.
func TestPartlyEncryptedDomains(t *testing.T) {
	rule := DefaultPolicy()
	h := pinned(&rule)
	for d := Day(7); d <= 19; d += 2 { // seven days below, each with a better one beside it
		_, h = Judge(h, Observation{Day: dayZero + d, Security: Security{Level: TLS12}}, &rule)
		_, h = Judge(h, Observation{Day: dayZero + d}, &rule)
	}
	for _, tt := range []struct {
		addresses, bare int
		want            PinState
	}{
		{0, 0, PinRelaxed}, // one peer, not a domain
		{20, 2, PinRelaxed},
		{22, 2, PinHolds},
		{5, 1, PinHolds}, // a single address, however large its share
		{5, 2, PinRelaxed},
		{100, 5, PinHolds},
	} {
		h.Addresses, h.Bare = sketchOf(tt.addresses), sketchOf(tt.bare)
		if got := h.PinState(TLS12, &rule, dayZero+20, true); got != tt.want {
			t.Errorf("%d of %d addresses bare: %s, want %s", tt.bare, tt.addresses, got, tt.want)
		}
	}
}

// A clock that went back brings sessions from before a pin formed. Only one below
// the pin precedes it, and the day it formed is not before.
func TestPrecedes(t *testing.T) {
	rule := DefaultPolicy()
	h := pinned(&rule)
	for _, tt := range []struct {
		day   Day
		level Level
		want  bool
	}{
		{4, Plaintext, true}, {4, Weak, true}, {4, TLS12, false}, {4, TLS13, false}, {5, Plaintext, false},
	} {
		o := Observation{Day: dayZero + tt.day, Security: Security{Level: tt.level}}
		if got := precedes(h, o, &rule); got != tt.want {
			t.Errorf("day %d, %s: %t", tt.day, tt.level, got)
		}
	}
}

// precedes reports whether a session teaches nothing that Judge would learn of it.
func precedes(h History, o Observation, rule *Policy) bool {
	_, judged := Judge(h, o, rule)
	_, after := Learn(h, o, rule)
	return after != judged && after == h
}

// The same of a pin on a certificate.
func TestPrecedesCertificate(t *testing.T) {
	rule := DefaultPolicy()
	var h History
	for d := Day(1); d <= 5; d++ {
		_, h = Judge(h, Observation{Day: dayZero + d, Security: Security{Level: TLS12, Certificate: true}}, &rule)
	}
	for day, want := range map[Day]bool{4: true, 5: false} {
		if got := precedes(h, Observation{Day: dayZero + day, Security: Security{Level: TLS12}}, &rule); got != want {
			t.Errorf("without it on day %d: %t", day, got)
		}
		if precedes(h, Observation{Day: dayZero + day, Security: Security{Level: TLS12, Certificate: true}}, &rule) {
			t.Errorf("with it on day %d", day)
		}
	}
}

// What another host saw in clear the day before a pin formed contests it.
func TestContested(t *testing.T) {
	rule := DefaultPolicy()
	for day, want := range map[Day]PinState{4: PinContested, 5: PinHolds} {
		_, other := Judge(History{}, Observation{Day: dayZero + day}, &rule)
		if got := Merge(pinned(&rule), other).PinState(TLS12, &rule, dayZero+6, true); got != want {
			t.Errorf("in clear on day %d: %s, want %s", day, got, want)
		}
	}
}

// A session leaves its marks. Another certificate does not replace the first one
// on the day that this came.
func TestWhatASessionLeaves(t *testing.T) {
	rule := DefaultPolicy()
	marks := Marks{Networks: 1, Addresses: 2, Bare: 4, Named: 8, HostNames: 16, Senders: 32}
	o := Observation{Day: dayZero, Security: Security{Level: TLS12, Certificate: true, CertMark: 7}, Marks: marks}
	_, h := Judge(History{}, o, &rule)
	if h.Marks != marks {
		t.Errorf("marks %+v", h.Marks)
	}
	named := Observation{Day: dayZero, Security: Security{Level: TLS12}, Name: LastName(dayZero, "mx1.bank.example", "bank.example")}
	if _, h := Judge(History{}, named, &rule); h.Name != named.Name {
		t.Errorf("name %+v", h.Name)
	}
	o.CertMark = 9
	if _, h = Judge(h, o, &rule); h.Cert.Mark != 7 || h.NoCertDays != 1 {
		t.Errorf("certificate %d, days without it %b", h.Cert.Mark, h.NoCertDays)
	}
}

// TestPinsOn: each pin is there once, with the states that the history has for it.
func TestPinsOn(t *testing.T) {
	rule := DefaultPolicy()
	var h History
	for d := Day(1); d <= 7; d++ { // two days below each of the pins: one more releases it
		s := Security{Level: TLS12, Certificate: true}
		if d > 5 {
			s = Security{Level: Weak}
		}
		_, h = Judge(h, Observation{Day: dayZero + d, Security: s}, &rule)
	}
	day := h.Last + 1
	all := h.PinsOn(&rule, day)
	if len(all) != 4 || all[3].Level != Plaintext || all[3].Pin != h.CertPin || all[3].State != PinHolds || all[3].Next != PinReleased ||
		all[1].State != PinHolds || all[1].Next != PinReleased {
		t.Fatalf("%+v", all)
	}
	for i, l := range []Level{Weak, TLS12, TLS13} {
		p := all[i]
		if p.Level != l || p.Pin != h.Pin(l) || p.State != h.PinState(l, &rule, day, false) || p.Next != h.PinState(l, &rule, day, true) {
			t.Errorf("%+v", p)
		}
	}
}
