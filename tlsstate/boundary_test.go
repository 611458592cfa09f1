package tlsstate_test

import (
	"testing"

	. "tlsratchet/tlsstate"
)

// seen is a history of sessions at a level, on days after dayZero.
func seen(h History, rule *Policy, level Level, days ...Day) History {
	for _, d := range days {
		_, h = Judge(h, Observation{Day: dayZero + d, Security: Security{Level: level}}, rule)
	}
	return h
}

// TestDaysBelow: five days on end below a pin release it as of the last of them, also
// for a session that is dated before what was seen since; of the run of days that
// lasts, as of each, three count.
func TestDaysBelow(t *testing.T) {
	rule := DefaultPolicy()
	h := seen(pinned(&rule), &rule, Plaintext, 11, 12, 13, 14, 15)
	h = seen(h, &rule, TLS12, 16)
	for day, want := range map[Day]PinState{15: PinReleased, 16: PinReleased, 17: PinHolds} {
		if got := h.PinState(TLS12, &rule, dayZero+day, true); got != want {
			t.Errorf("day %d: %s, want %s", day, got, want)
		}
	}
	rule.ReleaseAfterDays = 10
	h = seen(pinned(&rule), &rule, Plaintext, 11, 12, 13)
	h = seen(seen(h, &rule, TLS12, 14), &rule, Plaintext, 15, 16)
	for day, want := range map[Day]PinState{16: PinHolds, 17: PinRelaxed} {
		if got := h.PinState(TLS12, &rule, dayZero+day, true); got != want {
			t.Errorf("of the run that lasts, day %d: %s, want %s", day, got, want)
		}
	}
}

// TestRareSenders: three weeks with TLS pin what is not in clear, once they span
// six weeks; the number follows the policy, and is three at least.
func TestRareSenders(t *testing.T) {
	for _, tt := range []struct {
		after int
		weeks []Day
		want  bool
	}{
		{5, []Day{0, 3, 6}, true},
		{5, []Day{0, 3, 5}, false},
		{5, []Day{0, 6}, false},
		{5, []Day{0, 20, 41}, true},
		{5, []Day{0, 1, 2, 3}, false},
		{5, []Day{0, 1, 2, 3, 4}, true},
		{4, []Day{0, 6}, false}, // three at least
		{4, []Day{0, 3, 6}, true},
		{2, []Day{0, 20}, true},
		{6, []Day{0, 3, 6}, false},
		{6, []Day{0, 2, 4, 6}, true},
	} {
		rule := DefaultPolicy()
		rule.PinAfterDays = tt.after
		var h History
		for _, w := range tt.weeks {
			h = seen(h, &rule, TLS13, 7*w)
		}
		if got := h.Holds(Weak, &rule, h.Last); got != tt.want {
			t.Errorf("pin after %d, weeks %v: pinned %t", tt.after, tt.weeks, got)
		}
		if few := len(tt.weeks) < tt.after; h.Holds(TLS12, &rule, h.Last) && few {
			t.Errorf("pin after %d, weeks %v: weeks pinned TLSv1.2", tt.after, tt.weeks)
		}
	}
}

// TestPlaintextWeeks: plaintext in two of the last 64 weeks, after the void,
// keeps a pin from forming; in one it does not, once that is out of the days.
func TestPlaintextWeeks(t *testing.T) {
	rule := DefaultPolicy()
	for _, tt := range []struct {
		plain []Day
		void  Day
		want  bool
	}{
		{[]Day{0}, 0, true},
		{[]Day{0, 7}, 0, false},
		{[]Day{0, 1}, 0, true}, // two days, one week
		{[]Day{0, 7}, 10, true},
		{[]Day{0, 7, 21}, 10, true},
		{[]Day{0, 14, 21}, 10, false},
	} {
		h := seen(History{}, &rule, Plaintext, tt.plain...)
		if tt.void > 0 {
			h = h.Unpin(dayZero + tt.void)
		}
		h = seen(h, &rule, TLS13, 100, 101, 102, 103, 104)
		if got := h.Holds(TLS12, &rule, h.Last); got != tt.want {
			t.Errorf("in clear on %v, void on %d: pinned %t", tt.plain, tt.void, got)
		}
	}
}

// TestHosts: a network is known for hosts of a domain that came with TLS there,
// alone, and never in clear.
func TestHosts(t *testing.T) {
	const bank, shop = Sketch(2), Sketch(4)
	name := Name{Text: "bank.example"}
	for _, tt := range []struct {
		h    History
		want bool
	}{
		{History{Marks: Marks{Addresses: bank}, Name: name}, true},
		{History{Marks: Marks{Addresses: shop}, Name: name}, false},
		{History{Marks: Marks{Addresses: bank, Bare: bank}, Name: name}, false},
		{History{Marks: Marks{Addresses: bank, Bare: shop}, Name: name}, true},
		{History{Marks: Marks{Addresses: bank | shop}, Name: Name{Text: Several}}, false},
	} {
		if got := tt.h.Hosts(bank); got != tt.want {
			t.Errorf("%+v: %t", tt.h, got)
		}
	}
}

// TestYoung: SPF is asked on the path only where it may lead to more.
func TestYoung(t *testing.T) {
	rule := DefaultPolicy()
	rule.Stripped = Tempfail
	young := Verdict{Outcome: Downgraded, Kind: Stripped, Identity: Identity{Domain, "bank.example"}, Action: Header, Marks: Marks{Addresses: sketchOf(2)}}
	for _, tt := range []struct {
		name   string
		change func(*Verdict, *Policy)
		want   bool
	}{
		{"a young domain", nil, true},
		{"three addresses are known", func(v *Verdict, _ *Policy) { v.Addresses = sketchOf(3) }, false},
		{"an address speaks", func(v *Verdict, _ *Policy) { v.Identity.Kind = Address }, false},
		{"steady", func(v *Verdict, _ *Policy) { v.Outcome = Steady }, false},
		{"refused already", func(v *Verdict, _ *Policy) { v.Action = Tempfail }, false},
		{"a header is all that is wanted", func(_ *Verdict, p *Policy) { p.Stripped = Header }, false},
		{"domains never speak in full", func(_ *Verdict, p *Policy) { p.DomainEnforce = EnforceNever }, false},
	} {
		v, p := young, rule
		if tt.change != nil {
			tt.change(&v, &p)
		}
		if got := v.Young(&p); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

// TestBare: an address counts against its domain from the second day in clear
// on, whichever of the two comes first.
func TestBare(t *testing.T) {
	rule := DefaultPolicy()
	for _, tt := range []struct {
		before []Day
		level  Level
		want   bool
	}{
		{nil, Plaintext, false},
		{[]Day{110}, Plaintext, false}, // the same day
		{[]Day{109}, Plaintext, true},
		{[]Day{111}, Plaintext, true},   // the clock went back
		{[]Day{108, 109}, TLS13, false}, // of a session in clear alone
		{[]Day{110 - 63}, Plaintext, true},
		{[]Day{110 - 64}, Plaintext, false}, // out of the window
	} {
		h := History{}
		for _, d := range tt.before {
			_, h = Judge(h, Observation{Day: dayZero + d}, &rule)
		}
		v, _ := Judge(h, Observation{Day: dayZero + 110, Security: Security{Level: tt.level}}, &rule)
		if v.OftenBare != tt.want {
			t.Errorf("in clear on %v, then %s: %t", tt.before, tt.level, v.OftenBare)
		}
	}
}

// TestCertificateSights: the windows of a certificate end on its last day, or on
// the session's, whichever is later.
func TestCertificateSights(t *testing.T) {
	rule := DefaultPolicy()
	with := Security{Level: TLS12, Certificate: true, CertMark: 2}
	var h History
	for d := Day(1); d <= 5; d++ {
		_, h = Judge(h, Observation{Day: dayZero + d, Security: with}, &rule)
	}
	for _, tt := range []struct {
		day  Day
		want PinState
	}{{4, PinHolds}, {5, PinHolds}, {6, PinHolds}, {185, PinHolds}, {186, PinLapsed}} {
		if got := h.CertPinState(&rule, dayZero+tt.day, true); got != tt.want {
			t.Errorf("without it on day %d: %s", tt.day, got)
		}
	}
	for d := Day(6); d <= 7; d++ {
		_, h = Judge(h, Observation{Day: dayZero + d, Security: Security{Level: TLS12}}, &rule)
	}
	for day, want := range map[Day]PinState{6: PinHolds, 7: PinHolds, 8: PinReleased} {
		if got := h.CertPinState(&rule, dayZero+day, true); got != want {
			t.Errorf("two days without it, on day %d: %s", day, got)
		}
	}
}

// TestOperatorsActs: an act is dated, and drops the pin on the certificate too.
func TestOperatorsActs(t *testing.T) {
	rule := DefaultPolicy()
	var h History
	for d := Day(1); d <= 5; d++ {
		_, h = Judge(h, Observation{Day: dayZero + d, Security: Security{Level: TLS12, Certificate: true}}, &rule)
	}
	if h.Newest() != dayZero+5 || h.Tombstone() || (History{}).Tombstone() {
		t.Errorf("newest %s, tombstone %t", h.Newest(), h.Tombstone())
	}
	if got := h.CertPinState(&rule, dayZero+6, true); got != PinHolds {
		t.Fatal(got)
	}
	if _, plain := Judge(History{}, Observation{Day: dayZero}, &rule); plain.Newest() != dayZero {
		t.Errorf("in clear alone: newest %s", plain.Newest())
	}
	for name, after := range map[string]History{"unpin": h.Unpin(dayZero + 9), "forget": h.Forget(dayZero + 9)} {
		if after.Newest() != dayZero+9 || after.Tombstone() != (name == "forget") {
			t.Errorf("%s: newest %s, tombstone %t", name, after.Newest(), after.Tombstone())
		}
		if got := after.CertPinState(&rule, dayZero+9, true); got != PinNone {
			t.Errorf("%s: the certificate's pin %s", name, got)
		}
	}
	onlyVoid := h
	if onlyVoid.Pins[1].Void = dayZero + 8; onlyVoid.Newest() != dayZero+8 {
		t.Errorf("a void of one pin: newest %s", onlyVoid.Newest())
	}
	// A session that is dated like the void, after a pin formed anew, is no evidence
	// against that.
	h = seen(h.Unpin(dayZero+9), &rule, TLS12, 20, 21, 22, 23, 24)
	for d := Day(26); d <= 34; d += 2 { // one day below more would relax it
		h = seen(seen(h, &rule, Plaintext, d), &rule, TLS12, d+1)
	}
	if got := h.PinState(TLS12, &rule, dayZero+9, true); got != PinHolds {
		t.Errorf("on the day of the void: %s", got)
	}
	if got := h.PinState(TLS12, &rule, dayZero+36, true); got != PinRelaxed {
		t.Errorf("a day below more: %s", got)
	}
}

// TestStuck: five days below in a row release a pin, whatever else came, where it
// is released by five days or fewer.
func TestStuck(t *testing.T) {
	for release, want := range map[int]PinState{3: PinReleased, 5: PinReleased, 6: PinHolds} {
		rule := DefaultPolicy()
		rule.ReleaseAfterDays, rule.RelaxAfterDays = release, 64
		h := pinned(&rule)
		for d := Day(6); d <= 9; d++ {
			h = seen(seen(h, &rule, TLS12, d), &rule, Plaintext, d)
		}
		h = seen(h, &rule, TLS12, 10)
		if got := h.PinState(TLS12, &rule, dayZero+10, true); got != want {
			t.Errorf("release after %d: %s, want %s", release, got, want)
		}
	}
}

// TestReleasedCertificate: another certificate takes the place of one that is
// released, and not before.
func TestReleasedCertificate(t *testing.T) {
	rule := DefaultPolicy()
	var h History
	session := func(day Day, mark uint64) Verdict {
		var v Verdict
		v, h = Judge(h, Observation{Day: dayZero + day, Security: Security{Level: TLS12, Certificate: true, CertMark: mark}}, &rule)
		return v
	}
	for d := Day(1); d <= 5; d++ {
		session(d, 2)
	}
	for d, want := range []Downgrade{6: Unauthenticated, 7: Unauthenticated, 8: NoDowngrade} {
		if d >= 6 {
			if v := session(Day(d), 4); v.Kind != want {
				t.Errorf("another one on day %d: %s", d, v.Kind)
			}
		}
	}
	if h.Cert.Mark != 4 || h.Cert.Since != dayZero+8 {
		t.Errorf("%+v", h.Cert)
	}
}

// TestFirstCertificate is pinned on the day it came, where one day is enough.
func TestFirstCertificate(t *testing.T) {
	rule := DefaultPolicy()
	rule.PinAfterDays = 1
	_, h := Judge(History{}, Observation{Day: dayZero, Security: Security{Level: TLS12, Certificate: true, CertMark: 2}}, &rule)
	v, _ := Judge(h, Observation{Day: dayZero + 1, Security: Security{Level: TLS12}}, &rule)
	if v.Kind != Unauthenticated || v.Since != dayZero || v.Last != dayZero || v.Days != 1 || v.Below != 1 {
		t.Errorf("%+v", v)
	}
}

// TestPinnedAtOnce: where one day is enough, the first session is a new one and
// forms the pin.
func TestPinnedAtOnce(t *testing.T) {
	rule := DefaultPolicy()
	o := Observation{Day: dayZero, Security: Security{Level: TLS12}}
	if v, _ := Judge(History{}, o, &rule); v.Pinned() {
		t.Errorf("pinned on the first of five days: %+v", v)
	}
	rule.PinAfterDays = 1
	v, h := Judge(History{}, o, &rule)
	if v.Outcome != New || !v.Pinned() || v.Pin != TLS12 || v.Since != dayZero || v.Days != 1 {
		t.Errorf("first: %+v", v)
	}
	if v.Unsaved(); v.Outcome != New || v.Pinned() || v.Pin != Plaintext || v.Since != 0 || v.Last != 0 || v.Days != 0 {
		t.Errorf("unsaved: %+v", v)
	}
	if v, _ = Judge(h, o, &rule); v.Outcome != Steady || v.Pinned() {
		t.Errorf("again: %+v", v)
	}
}

// TestEvidence: what a verdict says of its pin.
func TestEvidence(t *testing.T) {
	rule := DefaultPolicy()
	h := seen(History{}, &rule, TLS12, 1, 2, 3, 4)
	v, h := Judge(h, Observation{Day: dayZero + 5, Security: Security{Level: TLS12}}, &rule)
	if v.Outcome != Raised || v.Since != dayZero+5 || v.Last != dayZero+5 || v.Days != 5 || v.Below != 0 {
		t.Errorf("raised: %+v", v)
	}
	_, h = Judge(h, Observation{Day: dayZero + 6}, &rule)
	v, _ = Judge(h, Observation{Day: dayZero + 7}, &rule)
	if v.Since != dayZero+5 || v.Last != dayZero+5 || v.Days != 5 || v.Below != 2 {
		t.Errorf("stripped on the second day: %+v", v)
	}
	v, _ = Judge(h, Observation{Day: dayZero + 7, Security: Security{Level: TLS12}}, &rule)
	if v.Last != dayZero+7 || v.Below != 0 {
		t.Errorf("steady again: %+v", v)
	}
	rule.Least = TLS12
	v, _ = Judge(h, Observation{Day: dayZero + 7}, &rule)
	if !v.Required || v.Since != 0 || v.Last != 0 || v.Days != 0 || v.Below != 0 {
		t.Errorf("required: %+v", v)
	}
}

// TestSameDayCertificates: of two that came first on one day both orders keep the
// same one.
func TestSameDayCertificates(t *testing.T) {
	rule := DefaultPolicy()
	with := func(mark uint64) (h History) {
		_, h = Judge(h, Observation{Day: dayZero, Security: Security{Level: TLS12, Certificate: true, CertMark: mark}}, &rule)
		return h
	}
	if a, b := Merge(with(4), with(2)), Merge(with(2), with(4)); a.Cert.Mark != 4 || b.Cert.Mark != 4 {
		t.Errorf("%d, %d", a.Cert.Mark, b.Cert.Mark)
	}
}
