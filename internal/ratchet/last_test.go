package ratchet_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// counted has the fixture's ratchet look at changes of the memory.
func counted(f *fixture) {
	f.with(func(o *ratchet.Options) { o.Changes = func() uint64 { return uint64(f.memory.updates) } })
}

// TestLast: the second message of a client is not judged again, until something is
// another; what teaches something or is a downgrade is judged each time.
func TestLast(t *testing.T) {
	wished := peer.Client{Addr: "203.0.113.11", Name: "mx.wished.example", Resolve: "OK", DaemonAddr: bank.DaemonAddr, DaemonPort: bank.DaemonPort}
	inClear := peer.Client{Addr: "198.51.100.77", Name: "unknown", DaemonAddr: bank.DaemonAddr, DaemonPort: bank.DaemonPort}
	stranger := peer.Client{Addr: "203.0.113.9", Name: "unknown", DaemonAddr: bank.DaemonAddr, DaemonPort: bank.DaemonPort}
	for _, tt := range []struct {
		name   string
		client peer.Client
		level  tlsstate.Level
		change func(f *fixture, s *ratchet.Session)
		judged bool
	}{
		{"the same again", bank, tlsstate.TLS13, func(*fixture, *ratchet.Session) {}, false},
		{"seconds later", bank, tlsstate.TLS13, func(_ *fixture, s *ratchet.Session) { s.At = s.At.Add(59 * time.Second) }, false},
		{"at the level that is pinned", bank, tlsstate.TLS12, func(*fixture, *ratchet.Session) {}, false},
		{"a minute later", bank, tlsstate.TLS13, func(_ *fixture, s *ratchet.Session) { s.At = s.At.Add(time.Minute) }, true},
		{"another sender", bank, tlsstate.TLS13, func(_ *fixture, s *ratchet.Session) { s.From = "b@bank.example" }, true},
		{"somebody was learned", bank, tlsstate.TLS13, func(f *fixture, s *ratchet.Session) { f.pin(t, stranger) }, true},
		{"new rules", bank, tlsstate.TLS13, func(f *fixture, _ *ratchet.Session) { f.SetRules(rules(t)) }, true},
		{"no memory for it", bank, tlsstate.TLS13, func(_ *fixture, s *ratchet.Session) { s.Last = nil }, true},
		{"changes are not counted", bank, tlsstate.TLS13, func(f *fixture, _ *ratchet.Session) { f.with(func(o *ratchet.Options) { o.Changes = nil }) }, true},
		{"a downgrade", bank, tlsstate.Plaintext, func(*fixture, *ratchet.Session) {}, true},
		{"one that teaches", stranger, tlsstate.TLS13, func(*fixture, *ratchet.Session) {}, true},
		{"below a row", wished, tlsstate.TLS12, func(*fixture, *ratchet.Session) {}, true},
		{"below what is pinned", inClear, tlsstate.Plaintext, func(*fixture, *ratchet.Session) {}, true},
	} {
		f := newFixture(t, tlsstate.Row{Domain: "wished.example", Subdomains: true, Least: tlsstate.TLS13})
		counted(&f)
		f.pin(t, bank)
		for _, s := range []*ratchet.Session{
			session(t, bank, day(6), tlsstate.TLS13), session(t, bank, day(6), tlsstate.TLS12), session(t, inClear, day(6), tlsstate.Plaintext), session(t, wished, day(6), tlsstate.TLS12),
		} {
			f.deliver(s)
		}
		first := session(t, tt.client, day(6), tt.level)
		first.Last, first.From = new(ratchet.Last), "a@bank.example"
		f.Decide(first)
		second := *first
		tt.change(&f, &second)
		reads := 0
		f.memory.load = func(tlsstate.Identity) error { reads++; return nil }
		got := f.Decide(&second)
		if judged := reads > 0; judged != tt.judged {
			t.Errorf("%s: judged %t, want %t", tt.name, judged, tt.judged)
		}
		second.Last = nil
		if want := f.Decide(&second); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", tt.name, got.Verdict, want.Verdict)
		}
	}
}

// TestLastLaw: whatever comes in whatever order, what is kept of the last message
// changes no decision.
func TestLastLaw(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(t)
		policy := tlsstate.DefaultPolicy()
		policy.PinCertificates = tlsstate.CertByKey
		byKey, err := tlsstate.NewRules(policy, nil)
		if err != nil {
			rt.Fatal(err)
		}
		f.with(func(o *ratchet.Options) { o.Rules = byKey })
		counted(&f)
		var clients [3]peer.Client
		var lasts [3]ratchet.Last
		for i := range clients {
			clients[i] = bank
			clients[i].Addr = fmt.Sprintf("192.0.2.%d", 10+i/2)
		}
		levels, at := [3]tlsstate.Level{}, day(1)
		for range rapid.IntRange(1, 60).Draw(rt, "messages") {
			at = at.Add(rapid.SampledFrom([]time.Duration{0, 0, time.Second, time.Minute, 24 * time.Hour}).Draw(rt, "later"))
			i := rapid.IntRange(0, 2).Draw(rt, "client")
			if rapid.IntRange(0, 4).Draw(rt, "facts") == 0 { // others than before: it is another client
				levels[i], lasts[i] = rapid.SampledFrom([]tlsstate.Level{tlsstate.Plaintext, tlsstate.TLS13, tlsstate.TLS13}).Draw(rt, "level"), ratchet.Last{}
			}
			s := session(t, clients[i], at, levels[i])
			s.Fingerprints = ratchet.Fingerprints{Known: true, Key: "K"}
			s.From = rapid.SampledFrom([]string{"", "a@bank.example", "b@other.example"}).Draw(rt, "from")
			plain := *s
			s.Last = &lasts[i]
			got, want := f.Decide(s), f.Decide(&plain)
			if !reflect.DeepEqual(got, want) || s.Security != plain.Security {
				rt.Fatalf("%+v, want %+v", got, want)
			}
			if rapid.Bool().Draw(rt, "accepted") {
				f.Learn(s, &got)
			}
		}
	})
}

// TestLastEndsSilence: the breaker counts each encrypted session.
func TestLastEndsSilence(t *testing.T) {
	f := newBreakerFixture(t, tlsstate.Tempfail)
	counted(&f.fixture)
	f.pin(t, bank)
	const late = 20
	f.deliver(session(t, bank, day(late), tlsstate.TLS13))
	s := session(t, bank, day(late), tlsstate.TLS13)
	s.Last = new(ratchet.Last)
	f.Decide(s)
	if d := f.Decide(session(t, bank, day(late), tlsstate.Plaintext)); d.Outcome != tlsstate.Downgraded || f.State(day(late)).Silent == nil {
		t.Fatalf("no silence began: %+v", d.Verdict)
	}
	f.memory.load = func(tlsstate.Identity) error { t.Error("judged again"); return nil }
	if f.Decide(s); f.State(day(late)).Silent != nil {
		t.Error("an encrypted session did not end the silence")
	}
}
