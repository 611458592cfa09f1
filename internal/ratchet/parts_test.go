package ratchet

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/peer/spf"
	"tlsratchet/tlsstate"
)

// TestClockJump: 30 days ahead of the newest record is written, 31 is not.
func TestClockJump(t *testing.T) {
	for _, tt := range []struct {
		ahead tlsstate.Day
		want  bool
	}{{30, true}, {31, false}} {
		var g clockGuard
		if got := g.writes(20000+tt.ahead, 20000, slog.New(slog.DiscardHandler)); got != tt.want {
			t.Errorf("%d days: %v", tt.ahead, got)
		}
	}
}

// TestTrustedClock: a day must pass on a clock that is far ahead, and it may not
// jump again; then its day is the one to judge by.
func TestTrustedClock(t *testing.T) {
	for _, tt := range []struct{ ahead, day, want tlsstate.Day }{
		{0, 20030, 20030},
		{0, 20031, 20000},
		{20100, 20100, 20000},
		{20100, 20101, 20101},
		{20100, 20130, 20130},
		{20100, 20131, 20000},
	} {
		var g clockGuard
		g.ahead.Store(uint32(tt.ahead))
		if got := g.trusted(tt.day, 20000); got != tt.want {
			t.Errorf("ahead since %d, on day %d: judged on %d, want %d", tt.ahead, tt.day, got, tt.want)
		}
	}
}

// TestClockAgain: 30 days after a jump are days that pass, more are another jump.
func TestClockAgain(t *testing.T) {
	for day, want := range map[tlsstate.Day]bool{20100: false, 20101: true, 20130: true, 20131: false} {
		var g clockGuard
		log := slog.New(slog.DiscardHandler)
		if g.writes(20100, 20000, log) {
			t.Fatal("a jump is written")
		}
		if got := g.writes(day, 20000, log); got != want {
			t.Errorf("day %d: %t", day, got)
		}
	}
}

// TestCertify: what a certificate means under a rule.
func TestCertify(t *testing.T) {
	for _, tt := range []struct {
		name string
		rule tlsstate.Policy
		have Fingerprints
		want tlsstate.Security
	}{
		{"by issuer: as Postfix states it", tlsstate.Policy{}, Fingerprints{Known: true, Key: "K"}, tlsstate.Security{Certificate: true, CertMark: 4}},
		{"by key", tlsstate.Policy{PinCertificates: tlsstate.CertByKey}, Fingerprints{Known: true, Key: "K"}, tlsstate.Security{Certificate: true, CertMark: tlsstate.KeyMark("K")}},
		{"by key, and none", tlsstate.Policy{PinCertificates: tlsstate.CertByKey}, Fingerprints{Known: true}, tlsstate.Security{CertMark: tlsstate.KeyMark("")}},
		{"by key, at a milter", tlsstate.Policy{PinCertificates: tlsstate.CertByKey}, Fingerprints{}, tlsstate.Security{CertUnknown: true, CertMark: tlsstate.KeyMark("")}},
		{"a row: its key", tlsstate.Policy{Fingerprints: []string{"K"}}, Fingerprints{Known: true, Key: "K"}, tlsstate.Security{CertUnknown: true, Certificate: true, CertMark: 4}},
		{"a row: its certificate", tlsstate.Policy{Fingerprints: []string{"K"}}, Fingerprints{Known: true, Certificate: "K"}, tlsstate.Security{CertUnknown: true, Certificate: true, CertMark: 4}},
		{"a row: another", tlsstate.Policy{Fingerprints: []string{"K"}}, Fingerprints{Known: true, Key: "L"}, tlsstate.Security{CertUnknown: true, CertWrong: true, CertMark: 4}},
		{"a row, at a milter", tlsstate.Policy{Fingerprints: []string{"K"}}, Fingerprints{}, tlsstate.Security{CertUnknown: true, CertMark: 4}},
	} {
		s := Session{Fingerprints: tt.have, Security: tlsstate.Security{Certificate: true, CertMark: 4, CertWrong: true}}
		if s.certify(&tt.rule); s.Security != tt.want {
			t.Errorf("%s: %+v", tt.name, s.Security)
		}
	}
}

// TestObservedOperations: a decision every tenth of a second and its loads,
// every change.
func TestObservedOperations(t *testing.T) {
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var seen [3]int
	r := New(Options{Histories: blank{}, Rules: rules, Log: slog.New(slog.DiscardHandler), Observe: func(op Operation, took time.Duration) {
		if seen[op]++; took < 0 || took > time.Hour {
			t.Errorf("took %s", took)
		}
	}})
	s := Session{At: boundaryNoon, Security: tlsstate.Security{Level: tlsstate.TLS13}}
	s.Peer.IP = netip.MustParseAddr("192.0.2.10")
	s.Peer.Address = tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.10"}
	for range 35 {
		r.Decide(&s)
		s.At = s.At.Add(40 * time.Millisecond)
	}
	d := r.Decide(&s)
	if r.Learn(&s, &d); seen != [3]int{Deciding: 15, Loading: 15, Learning: 1} {
		t.Errorf("seen %v", seen)
	}
}

// blank is a memory that knows nothing.
type blank struct{}

func (blank) Load(tlsstate.Identity) (h tlsstate.History, err error) { return h, nil }
func (blank) Newest() tlsstate.Day                                   { return 0 }
func (blank) Update(_ tlsstate.Identity, _ netip.Addr, _ tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	return grow(tlsstate.History{}), nil
}

// TestWeakIsTLS: what is seen with TLS was seen with old TLS, too.
func TestWeakIsTLS(t *testing.T) {
	s := Session{Security: tlsstate.Security{Level: tlsstate.Weak}, At: boundaryNoon}
	s.Peer.Domain, s.Peer.Mark = tlsstate.Identity{Kind: tlsstate.Domain, Name: "bank.example"}, 1<<9
	tr := &trial{Session: &s, sender: part{id: tlsstate.Identity{Kind: tlsstate.Sender, Name: "customer.example/bank.example"}}}
	network, ok := tr.networkObservation(&tlsstate.Verdict{})
	if o := tr.domainObservation(&tlsstate.Verdict{}); o.Addresses != 1<<9 || !ok || network.Name.Text != "bank.example" {
		t.Errorf("%+v, %+v", o, network)
	}
	if got := tr.sendersOf(&tlsstate.Verdict{Marks: tlsstate.Marks{Named: 1 << 9}}); got != tlsstate.SenderMark("customer.example", false) {
		t.Errorf("senders %b", got)
	}
	tr.rule, tr.listener.id = &tlsstate.Policy{}, tlsstate.Identity{Kind: tlsstate.Listener, Name: "25"}
	if new(Ratchet).judge(tr); !tr.offers {
		t.Error("the port offers no STARTTLS")
	}
}

// TestSenderObservation: a sender keeps the marks of the first two addresses that
// it came from, in proven sessions over TLS.
func TestSenderObservation(t *testing.T) {
	domain := tlsstate.Identity{Kind: tlsstate.Domain, Name: "bank.example"}
	for _, tt := range []struct {
		known  tlsstate.Sketch
		level  tlsstate.Level
		domain tlsstate.Identity
		want   tlsstate.Sketch
	}{
		{0, tlsstate.TLS13, domain, 1 << 9},
		{1 << 4, tlsstate.TLS13, domain, 1 << 9},
		{1<<4 | 1<<9, tlsstate.TLS13, domain, 0},
		{0, tlsstate.Weak, domain, 1 << 9},
		{0, tlsstate.Plaintext, domain, 0},
		{0, tlsstate.TLS13, tlsstate.Identity{}, 0},
	} {
		s := Session{Security: tlsstate.Security{Level: tt.level}}
		s.Peer.Domain, s.Peer.Mark = tt.domain, 1<<9
		sender := &trial{Session: &s, sender: part{history: tlsstate.History{Marks: tlsstate.Marks{Named: tt.known}}}}
		if got := sender.senderObservation().Named; got != tt.want {
			t.Errorf("%+v: %b", tt, got)
		}
	}
}

// TestDomainMark is 0 without a domain, and where the network has seen none.
func TestDomainMark(t *testing.T) {
	domain := tlsstate.Identity{Kind: tlsstate.Domain, Name: "bank.example"}
	for _, tt := range []struct {
		domain tlsstate.Identity
		seen   tlsstate.Sketch
		want   tlsstate.Sketch
	}{{domain, 1, tlsstate.Mark([]byte("bank.example"))}, {domain, 0, 0}, {tlsstate.Identity{}, 1, 0}} {
		s := &trial{domain: part{id: tt.domain}, network: part{history: tlsstate.History{Marks: tlsstate.Marks{Addresses: tt.seen}}}}
		if got := s.domainMark(); got != tt.want {
			t.Errorf("%+v: %b", tt, got)
		}
	}
}

// TestNewSenderTeachesItsDomainNothing: one that the memory did not know shows
// nothing of senders that move.
func TestNewSenderTeachesItsDomainNothing(t *testing.T) {
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
	if err != nil {
		t.Fatal(err)
	}
	memory := &updates{}
	r := New(Options{Histories: memory, Rules: rules, Senders: certain{}, Log: slog.New(slog.DiscardHandler)})
	p, err := peer.Identify(peer.Client{Addr: "192.0.2.10", Name: "mx.bank.example", Resolve: "OK"})
	if err != nil {
		t.Fatal(err)
	}
	s := Session{At: boundaryNoon, Security: tlsstate.Security{Level: tlsstate.TLS13}, Peer: p, From: "ann@sender.example"}
	d := r.Decide(&s)
	r.Learn(&s, &d)
	if want := "address domain domain network sender"; strings.Join(memory.of, " ") != want { // the second for what SPF proves
		t.Errorf("changed %s, want %s", memory.of, want)
	}
}

// updates is a memory that knows nothing and notes which kinds it is to change.
type updates struct {
	blank
	of []string
}

func (u *updates) Update(id tlsstate.Identity, client netip.Addr, today tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	u.of = append(u.of, id.Kind.String())
	return u.blank.Update(id, client, today, grow)
}

// certain proves all claims at once.
type certain struct{}

func (certain) Prove(context.Context, spf.Claim) spf.Result { return spf.Proven }
func (certain) Learn(_ spf.Claim, learn func()) bool        { learn(); return true }
func (certain) Tried(spf.Claim) bool                        { return false }

// TestDecisionWithoutARule is one of a failure.
func TestDecisionWithoutARule(t *testing.T) {
	d := Decision{Unlimited: tlsstate.Tempfail}
	if d.Row() != "" || d.Configured() != tlsstate.Tempfail {
		t.Errorf("%q, %s", d.Row(), d.Configured())
	}
	d.rule = &tlsstate.Policy{Row: "bank.example", Weakened: tlsstate.Reject}
	d.Kind = tlsstate.Weakened
	if d.Row() != "bank.example" || d.Configured() != tlsstate.Reject {
		t.Errorf("%q, %s", d.Row(), d.Configured())
	}
}

// TestAppliedAction: a message that was to be refused and was not is an exempt
// recipient's, and got a header.
func TestAppliedAction(t *testing.T) {
	for _, tt := range []struct {
		action        tlsstate.Action
		done, refused bool
		want          tlsstate.Action
	}{
		{tlsstate.Tempfail, true, true, tlsstate.Tempfail},
		{tlsstate.Tempfail, true, false, tlsstate.Header},
		{tlsstate.Reject, true, false, tlsstate.Header},
		{tlsstate.Reject, false, false, tlsstate.Reject},
		{tlsstate.Quarantine, true, false, tlsstate.Quarantine},
		{tlsstate.Observe, true, false, tlsstate.Observe},
	} {
		d := Decision{}
		d.Action = tt.action
		e := Event{Decision: &d, Done: tt.done, Refused: tt.refused}
		if got := e.AppliedAction(); got != tt.want {
			t.Errorf("%s, done %t, refused %t: %s", tt.action, tt.done, tt.refused, got)
		}
	}
}

func TestClient(t *testing.T) {
	var s Session
	s.Peer.IP = netip.MustParseAddr("192.0.2.10")
	if got := s.Client(); got != "unknown[192.0.2.10]" {
		t.Error(got)
	}
	if s.Peer.Host = "mx1.bank.example"; s.Client() != "mx1.bank.example[192.0.2.10]" {
		t.Error(s.Client())
	}
}
