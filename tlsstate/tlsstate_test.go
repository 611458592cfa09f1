package tlsstate_test

import (
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	. "tlsratchet/tlsstate"
)

func sum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func TestLevelOf(t *testing.T) {
	for _, tt := range []struct {
		version, cipher string
		want            Level
	}{
		{"", "", Plaintext},
		{"SSLv3", "RC4-SHA", Weak},
		{"TLSv1", "ECDHE-RSA-AES256-SHA", Weak},
		{"TLSv1.1", "ECDHE-RSA-AES256-SHA", Weak},
		{"TLSv1.2", "AES256-GCM-SHA384", Weak},
		{"TLSv1.2", "AES128-SHA", Weak},
		{"TLSv1.2", "DES-CBC3-SHA", Weak},
		{"TLSv1.2", "ECDH-RSA-AES128-SHA", Weak},
		{"TLSv1.2", "TLS_RSA_WITH_AES_128_CBC_SHA", Weak},
		{"TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384", TLS12},
		{"TLSv1.2", "DHE-RSA-AES256-GCM-SHA384", TLS12},
		{"TLSv1.2", "ADH-AES256-GCM-SHA384", TLS12},
		{"TLSv1.2", "AECDH-AES256-SHA", TLS12},
		{"TLSv1.2", "SOME-CIPHER-OF-2031", TLS12},
		{"TLSv1.2", "", TLS12},
		{"TLSv1.2", "NULL-SHA256", Plaintext},
		{"TLSv1.2", "ECDHE-ECDSA-NULL-SHA", Plaintext},
		{"TLSv1.2", "PSK-NULL-SHA", Plaintext},
		{"TLSv1.2", "TLS_RSA_WITH_NULL_SHA256", Plaintext},
		{"TLSv1", "AECDH-NULL-SHA", Plaintext},
		{"TLSv1.3", "TLS_SHA256_SHA256", Plaintext},
		{"TLSv1.3", "TLS_SHA384_SHA384", Plaintext},
		{"TLSv1.3", "TLS_AES_256_GCM_SHA384", TLS13},
		{"TLSv1.4", "TLS_X", TLS13},
	} {
		if got := LevelOf(tt.version, tt.cipher); got != tt.want {
			t.Errorf("LevelOf(%q, %q) = %s, want %s", tt.version, tt.cipher, got, tt.want)
		}
	}
}

func TestWordsRoundTrip(t *testing.T) {
	for l := Plaintext; l <= TLS13; l++ {
		if got, err := ParseLevel(l.String()); err != nil || got != l {
			t.Errorf("ParseLevel(%q) = %v, %v", l, got, err)
		}
	}
	for a := Observe; a <= Reject; a++ {
		if got, err := ParseAction(a.String()); err != nil || got != a {
			t.Errorf("ParseAction(%q) = %v, %v", a, got, err)
		}
	}
	for k := Address; k <= LastKind; k++ {
		id := Identity{k, "192.0.2.10"}
		if got, err := ParseIdentity(id.String()); err != nil || got != id {
			t.Errorf("ParseIdentity(%q) = %v, %v", id, got, err)
		}
	}
	for _, bad := range []string{"", "address", "address:", "nothing:x", "domain:a b", "domain:\x1b[1m", ":x"} {
		if got, err := ParseIdentity(bad); err == nil {
			t.Errorf("ParseIdentity(%q) = %v, want an error", bad, got)
		}
	}
	for _, s := range []fmt.Stringer{Level(4), Action(5), Enforce(3), CertPins(3), Outcome(7), Downgrade(4), LastKind + 1} {
		if !strings.HasPrefix(s.String(), "unknown(") {
			t.Errorf("an unknown value is %q", s)
		}
	}
	for _, s := range []string{Level(9).String(), Action(9).String(), Enforce(9).String(), Kind(9).String(), Outcome(9).String(), Downgrade(9).String(), CertPins(9).String(), Support(9).String(), PinState(9).String()} {
		if s != "unknown(9)" {
			t.Errorf("an unknown value is %q", s)
		}
	}
	if got := Kind(0).String(); got != "unknown(0)" {
		t.Errorf("no kind is %q", got)
	}
	for s, want := range map[fmt.Stringer]string{
		EnforceBroad: "broad", EnforceAlways: "always", EnforceNever: "never", CertByIssuer: "issuer", CertByKey: "key", CertOff: "off",
		PinHolds: "holds", PinRelaxed: "relaxed", SupportItself: "itself", SupportHostName: "host-name", SupportAddresses: "addresses", Raised: "raised", Unauthenticated: "unauthenticated",
	} {
		if s.String() != want {
			t.Errorf("%q, want %q", s, want)
		}
	}
	for _, bad := range []string{"TLS1.2", "tls", ""} {
		if _, err := ParseLevel(bad); err == nil {
			t.Errorf("ParseLevel(%q): no error", bad)
		}
		if _, err := ParseAction(bad); err == nil {
			t.Errorf("ParseAction(%q): no error", bad)
		}
	}
}

func TestDay(t *testing.T) {
	for _, tt := range []struct {
		t    time.Time
		want Day
		word string
	}{
		{time.Date(2026, 9, 21, 23, 59, 59, 0, time.UTC), 20717, "2026-09-21"},
		{time.Date(2026, 9, 22, 0, 30, 0, 0, time.FixedZone("", 3600)), 20717, "2026-09-21"},
		{time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC), 0, "never"},
		{time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC), 65535, "2149-06-06"},
	} {
		if got := DayOf(tt.t); got != tt.want || got.String() != tt.word {
			t.Errorf("DayOf(%s) = %d %s, want %d %s", tt.t, got, got, tt.want, tt.word)
		}
	}
}

func TestSketch(t *testing.T) {
	var s Sketch
	for i := range 40 {
		s |= Mark([]byte{192, 0, 2, byte(i)})
	}
	if n := s.Estimate(); n < 28 || n > 54 {
		t.Errorf("40 addresses are estimated as %d", n)
	}
	if n := Sketch(0).Estimate(); n != 0 {
		t.Errorf("none is estimated as %d", n)
	}
	if n := (^Sketch(0)).Estimate(); n < 200 {
		t.Errorf("a full sketch is estimated as %d", n)
	}
}

// pinned is a history with five days of TLS 1.2, the last on day 5.
func pinned(rule *Policy) (h History) {
	for d := Day(1); d <= 5; d++ {
		_, h = Judge(h, Observation{Day: dayZero + d, Security: Security{Level: TLS12, Protocol: "TLSv1.2"}}, rule)
	}
	return h
}

func TestJudgeAllocatesNothing(t *testing.T) {
	rule := DefaultPolicy()
	h := pinned(&rule)
	for _, o := range []Observation{
		{Day: dayZero + 5, Security: Security{Level: TLS12}},
		{Day: dayZero + 6, Security: Security{Level: TLS13}},
		{Day: dayZero + 6},
	} {
		if n := testing.AllocsPerRun(100, func() { Judge(h, o, &rule) }); n != 0 {
			t.Errorf("level %s: %v allocations", o.Level, n)
		}
	}
}

func TestOffers(t *testing.T) {
	rule := DefaultPolicy()
	h := pinned(&rule)
	for day, want := range map[Day]bool{5: true, 185: true, 186: false} {
		if got := h.Offers(dayZero + day); got != want {
			t.Errorf("day %d: %v", day, got)
		}
	}
	if (History{}).Offers(dayZero) {
		t.Error("a listener never seen offers")
	}
}

func TestExemptAndLeast(t *testing.T) {
	rule := DefaultPolicy()
	rule.Exempt = true
	if v, after := Judge(History{}, Observation{Day: dayZero}, &rule); v.Outcome != Exempt || after != (History{}) {
		t.Errorf("exempt: %v, %v", v.Outcome, after)
	}
	rule = DefaultPolicy()
	rule.Least = TLS12
	v, after := Judge(History{}, Observation{Day: dayZero, Security: Security{Level: Weak}}, &rule)
	if v.Outcome != Downgraded || v.Kind != Weakened || !v.Required || v.Pin != TLS12 {
		t.Errorf("least level: %+v", v)
	}
	if after.First != dayZero {
		t.Error("the session was not recorded as it was")
	}
}

func BenchmarkJudge(b *testing.B) {
	rule := DefaultPolicy()
	h := pinned(&rule)
	for _, bb := range []struct {
		name string
		o    Observation
	}{
		{"steady", Observation{Day: dayZero + 5, Security: Security{Level: TLS12}}},
		{"new-day", Observation{Day: dayZero + 6, Security: Security{Level: TLS12}}},
		{"stripped", Observation{Day: dayZero + 6}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Judge(h, bb.o, &rule)
			}
		})
	}
}
