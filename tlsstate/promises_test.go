package tlsstate_test

import (
	"encoding/json"
	"testing"
	"time"

	. "tlsratchet/tlsstate"
)

// TestJoinKeepsTheLater: of two histories that operators took to one epoch every day
// of a pin and of a name is the later one, and of two texts of a day the greater.
func TestJoinKeepsTheLater(t *testing.T) {
	rule := DefaultPolicy()
	a := pinned(&rule)
	b := a
	a.Pins[1], b.Pins[1] = Pin{Formed: 5, Met: 6, Void: 3}, Pin{Formed: 4, Met: 7, Void: 2}
	if got, want := Merge(a, b).Pins[1], (Pin{Formed: 5, Met: 7, Void: 3}); got != want {
		t.Errorf("pin %+v, want %+v", got, want)
	}
	for _, tt := range []struct{ a, b, want Name }{
		{Name{5, "a"}, Name{7, "a"}, Name{7, "a"}},
		{Name{5, "a"}, Name{5, "b"}, Name{5, "b"}},
		{Name{5, "b"}, Name{7, "a"}, Name{7, "a"}},
		{Name{0, "a"}, Name{0, "b"}, Name{0, Several}},
		{Name{0, "a"}, Name{}, Name{0, "a"}},
	} {
		a.Name, b.Name = tt.a, tt.b
		if got := Merge(a, b).Name; got != tt.want {
			t.Errorf("%v and %v: %v", tt.a, tt.b, got)
		}
	}
}

// TestWithoutADay: what has no day teaches nothing.
func TestWithoutADay(t *testing.T) {
	rule := DefaultPolicy()
	if _, h := Judge(History{}, Observation{Security: Security{Level: TLS12}}, &rule); h != (History{}) {
		t.Errorf("learned %+v", h)
	}
}

// TestEpochs: an act is one epoch up, and the last epoch has no next.
func TestEpochs(t *testing.T) {
	for before, want := range map[uint16]uint16{0: 1, 7: 8, 65534: 65535, 65535: 65535} {
		if got := (History{Epoch: before}).Unpin(dayZero).Epoch; got != want {
			t.Errorf("unpin at %d: %d", before, got)
		}
		if got := (History{Epoch: before}).Forget(dayZero).Epoch; got != want {
			t.Errorf("forget at %d: %d", before, got)
		}
	}
}

// TestPinnedUpToLess: where less is pinned than before, a pin that is there does not
// hold.
func TestPinnedUpToLess(t *testing.T) {
	rule := DefaultPolicy()
	rule.PinUpTo = TLS13
	h := seen(History{}, &rule, TLS13, 1, 2, 3, 4, 5)
	o := Observation{Day: dayZero + 6, Security: Security{Level: TLS12}}
	if v, _ := Judge(h, o, &rule); v.Kind != Weakened {
		t.Errorf("%s", v.Outcome)
	}
	rule.PinUpTo = TLS12
	if v, _ := Judge(h, o, &rule); v.Outcome != Steady || v.Pin != TLS12 || h.TopPin(&rule, o.Day) != TLS12 {
		t.Errorf("%s %s", v.Outcome, v.Pin)
	}
}

// TestCertificateMarks tell certificates apart, and those known by their key.
func TestCertificateMarks(t *testing.T) {
	a, b := CertificateMark("CA", "bank"), CertificateMark("CA", "shop")
	if a == b || a&1 != 0 || b&1 != 0 || KeyMark("bank")&1 != 1 || KeyMark("bank") == KeyMark("shop") {
		t.Errorf("%x, %x, %x, %x", a, b, KeyMark("bank"), KeyMark("shop"))
	}
}

// TestCertificatesOfLogs: a log shows only that there was one. That may be any, holds
// whatever certificates are known by, and takes no other's place.
func TestCertificatesOfLogs(t *testing.T) {
	rule := DefaultPolicy()
	days := func(mark uint64) (h History) {
		for d := Day(1); d <= 5; d++ {
			_, h = Judge(h, Observation{Day: dayZero + d, Security: Security{Level: TLS12, Certificate: true, CertMark: mark}}, &rule)
		}
		return h
	}
	session := func(h History, day Day, mark uint64) (Verdict, History) {
		return Judge(h, Observation{Day: dayZero + day, Security: Security{Level: TLS12, Certificate: true, CertMark: mark}}, &rule)
	}
	for _, marks := range [][2]uint64{{0, 2}, {2, 0}, {0, 0}} {
		if v, _ := session(days(marks[0]), 6, marks[1]); v.Outcome != Steady {
			t.Errorf("marks %v: %s", marks, v.Outcome)
		}
	}
	for _, by := range []CertPins{CertByIssuer, CertByKey} {
		rule.PinCertificates = by
		if got := days(0).CertPinState(&rule, dayZero+6, true); got != PinHolds {
			t.Errorf("by %s: %s", by, got)
		}
	}
	rule.PinCertificates = CertByIssuer
	h := days(2)
	if _, after := session(h, 200, 0); after.Cert != h.Cert || after.Valid() != nil { // the pin has lapsed
		t.Errorf("%+v: %v", after.Cert, after.Valid())
	}
}

// TestOneDayApart: of a session below a pin the same day counts as met, and one with
// a day in clear before it as two.
func TestOneDayApart(t *testing.T) {
	rule := DefaultPolicy()
	h := seen(pinned(&rule), &rule, TLS12, 9)
	if v, _ := Judge(h, Observation{Day: dayZero + 9}, &rule); v.Outcome != Downgraded || v.Below != 0 {
		t.Errorf("%s, %d below", v.Outcome, v.Below)
	}
	h = seen(h, &rule, Weak, 10, 11)
	if got := h.PinState(TLS12, &rule, dayZero+12, true); !h.Holds(TLS12, &rule, dayZero+12) || got != PinReleased {
		t.Errorf("on the third day: %s", got)
	}
	rule.ReleaseAfterDays, rule.RelaxAfterDays = 10, 4
	h = seen(seen(pinned(&rule), &rule, Plaintext, 11, 12, 13), &rule, TLS12, 14)
	if got := h.PinState(TLS12, &rule, dayZero+15, true); got != PinRelaxed {
		t.Errorf("three days and one: %s", got)
	}
}

// TestSeenUntil: a window may end before the last day, or after it.
func TestSeenUntil(t *testing.T) {
	h := History{First: dayZero - 5, Last: dayZero, Seen: [4]uint64{TLS12: 0b110011}}
	for day, want := range map[Day]uint64{dayZero: 0b110011, dayZero + 2: 0b11001100, dayZero - 2: 0b1100, dayZero + 99: 0} {
		if got := h.SeenUntil(TLS12, day); got != want {
			t.Errorf("%s: %b, want %b", day, got, want)
		}
	}
}

// TestCertainNames: no name is no known host, and what DNS doesn't confirm now loses no
// mail, unless a row requires it.
func TestCertainNames(t *testing.T) {
	rule := DefaultPolicy()
	rule.Stripped = Reject
	h := pinned(&rule)
	h.HostNames = 3
	for name, tt := range map[string]struct {
		host     Sketch
		recalled bool
		least    Level
		want     Action
	}{
		"the host":             {3, false, Plaintext, Reject},
		"no name":              {0, false, Plaintext, Header},
		"recalled":             {3, true, Plaintext, Tempfail},
		"recalled, with a row": {3, true, TLS12, Reject},
	} {
		rule.Least = tt.least
		vs := Verdicts{HostName: tt.host}
		vs.Domain, _ = Judge(h, Observation{Day: dayZero + 6}, &rule)
		vs.Domain.Identity, vs.Domain.Recalled = Identity{Domain, "bank.example"}, tt.recalled
		if v := Combine(&vs, &rule); v.Action != tt.want {
			t.Errorf("%s: %s, want %s", name, v.Action, tt.want)
		}
	}
}

// TestDayForms: a day is its first moment, and never is an empty text.
func TestDayForms(t *testing.T) {
	if got, want := Day(20000).Time(), time.Date(2024, 10, 4, 0, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("%s, want %s", got, want)
	}
	d := Day(5)
	if b, err := json.Marshal(Day(0)); string(b) != `""` || err != nil {
		t.Errorf("%s, %v", b, err)
	}
	if err := json.Unmarshal([]byte(`""`), &d); d != 0 || err != nil {
		t.Errorf("%s, %v", d, err)
	}
	if n := (^Sketch(0)).Estimate(); n != 266 {
		t.Errorf("a full sketch: %d", n)
	}
}
