package tlsstate_test

import (
	"strings"
	"testing"

	. "tlsratchet/tlsstate"
)

func TestFingerprintLengths(t *testing.T) {
	for digits, want := range map[int]bool{30: false, 32: true, 128: true, 130: false} {
		if _, ok := Fingerprint(strings.Repeat("0", digits)); ok != want {
			t.Errorf("%d digits: %t", digits, ok)
		}
	}
}

func TestFingerprint(t *testing.T) {
	const sha1 = "0A:1B:2C:3D:4E:5F:60:71:82:93:A4:B5:C6:D7:E8:F9:00:11:22:33"
	for _, s := range []string{sha1, strings.ToLower(sha1), strings.ReplaceAll(sha1, ":", "")} {
		if got, ok := Fingerprint(s); !ok || got != sha1 {
			t.Errorf("%s: %s, %t", s, got, ok)
		}
	}
	for _, s := range []string{"", "AA:BB", sha1 + ":", sha1[1:], strings.Replace(sha1, ":", "", 1), strings.Replace(sha1, "A", "G", 1), strings.Repeat("AA", 65)} {
		if got, ok := Fingerprint(s); ok {
			t.Errorf("%s: %s", s, got)
		}
	}
}

// TestCertificatesByKey: the pin is on the key; a certificate of which nothing
// is known counts neither way; what is remembered by issuer is learned anew.
func TestCertificatesByKey(t *testing.T) {
	rule := DefaultPolicy()
	rule.PinCertificates = CertByKey
	own, other, issuer := KeyMark("own"), KeyMark("other"), CertificateMark("CA", "bank")
	h, day := History{}, Day(20000)
	session := func(want string, s Security) {
		t.Helper()
		s.Level = TLS13
		day++
		var v Verdict
		if v, h = Judge(h, Observation{Day: day, Security: s}, &rule); v.Outcome.String() != want {
			t.Fatalf("day %d: %s, want %s", day-20000, v.Outcome, want)
		}
	}
	shown := func(mark uint64) Security { return Security{Certificate: true, CertMark: mark} }
	session("new", shown(own))
	for range 3 {
		session("learning", shown(own))
	}
	session("raised", shown(own))
	session("steady", Security{CertUnknown: true})
	session("downgrade", Security{})
	session("steady", shown(own))
	session("downgrade", shown(other))
	session("downgrade", shown(other)) // it did not take the place of the first
	session("steady", shown(own))
	rule.PinCertificates = CertOff
	session("steady", Security{})
	rule.PinCertificates = CertByIssuer
	session("steady", shown(issuer))
	for range 3 {
		session("steady", shown(issuer))
	}
	session("raised", shown(issuer))
	session("downgrade", Security{})
}

// TestFingerprintRow: a row requires TLS, and one of its fingerprints.
func TestFingerprintRow(t *testing.T) {
	reject := Reject
	rules, err := NewRules(DefaultPolicy(), []Row{
		{Domain: "bank.example", Fingerprints: []string{"A", "B"}, Action: &reject},
		{Domain: "shop.example", Fingerprints: []string{"A"}},
		{Sender: "partner.example", Least: TLS13},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		host   string
		seen   Security
		kind   Downgrade
		action Action
	}{
		{"bank.example", Security{Level: TLS12, CertUnknown: true}, NoDowngrade, Observe},
		{"bank.example", Security{Level: TLS12, CertWrong: true}, Unauthenticated, Reject},
		{"bank.example", Security{}, Stripped, Reject},
		{"shop.example", Security{Level: TLS12, CertWrong: true}, Unauthenticated, Observe},
		{"shop.example", Security{}, Stripped, Header},
	} {
		rule := rules.ForSender(rules.For(network("192.0.2.1/32").Addr(), tt.host), "partner.example")
		v, _ := Judge(History{}, Observation{Day: 20000, Security: tt.seen}, rule)
		v = Combine(&Verdicts{Address: v}, rule)
		if v.Kind != tt.kind || v.Action != tt.action || v.Required != (tt.kind != NoDowngrade) {
			t.Errorf("%s, %+v: %s, %s, required %t", tt.host, tt.seen, v.Kind, v.Action, v.Required)
		}
	}
}
