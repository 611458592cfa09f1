package ratchet_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// memory is the smallest Histories: a map, and faults to order.
type memory struct {
	mu      sync.Mutex
	m       map[tlsstate.Identity]tlsstate.History
	updates int
	load    func(tlsstate.Identity) error
	update  func(tlsstate.Identity) error
}

func newMemory() *memory { return &memory{m: map[tlsstate.Identity]tlsstate.History{}} }

func (m *memory) Load(id tlsstate.Identity) (tlsstate.History, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.load != nil {
		if err := m.load(id); err != nil {
			return tlsstate.History{}, err
		}
	}
	return m.m[id], nil
}

func (m *memory) Update(id tlsstate.Identity, _ netip.Addr, _ tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.update != nil {
		if err := m.update(id); err != nil {
			return tlsstate.History{}, err
		}
	}
	before := m.m[id]
	after := grow(before)
	if after != before {
		m.updates++
		m.m[id] = after
	}
	return after, nil
}

func (m *memory) Newest() (newest tlsstate.Day) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range m.m {
		newest = max(newest, h.Newest())
	}
	return newest
}

var start = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

func day(n int) time.Time { return start.AddDate(0, 0, n-1) }

// bank is a client in good order.
var bank = peer.Client{
	Addr: "192.0.2.10", Name: "mx1.bank.example", Resolve: "OK",
	DaemonAddr: "198.51.100.1", DaemonPort: "25",
}

func session(t testing.TB, c peer.Client, at time.Time, level tlsstate.Level) *ratchet.Session {
	t.Helper()
	p, err := peer.Identify(c)
	if err != nil {
		t.Fatal(err)
	}
	s := &ratchet.Session{At: at, Peer: p}
	s.Level = level
	return s
}

func rules(t testing.TB, rows ...tlsstate.Row) *tlsstate.Rules {
	t.Helper()
	policy := tlsstate.DefaultPolicy()
	policy.Stripped, policy.Weakened = tlsstate.Tempfail, tlsstate.Tempfail
	r, err := tlsstate.NewRules(policy, rows)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// fixture is a ratchet, its memory and what it logged.
type fixture struct {
	*ratchet.Ratchet
	options ratchet.Options
	memory  *memory
	log     *bytes.Buffer
}

func newFixture(t testing.TB, rows ...tlsstate.Row) fixture {
	f := fixture{memory: newMemory(), log: &bytes.Buffer{}}
	f.options = ratchet.Options{Histories: f.memory, Rules: rules(t, rows...), Log: slog.New(slog.NewTextHandler(f.log, nil))}
	f.Ratchet = ratchet.New(f.options)
	return f
}

// with makes the ratchet anew with changed options, on the same memory.
func (f *fixture) with(change func(*ratchet.Options)) {
	change(&f.options)
	f.Ratchet = ratchet.New(f.options)
}

// deliver is one message: decided, then learned.
func (f fixture) deliver(s *ratchet.Session) ratchet.Decision {
	d := f.Decide(s)
	f.Learn(s, &d)
	return d
}

func (f fixture) pin(t testing.TB, c peer.Client) {
	t.Helper()
	for n := 1; n <= 5; n++ {
		f.deliver(session(t, c, day(n), tlsstate.TLS13))
	}
}

func words(d ratchet.Decision) string {
	return strings.Join([]string{d.Identity.Kind.String(), d.Outcome.String(), d.Kind.String(), d.Action.String()}, " ")
}

func TestStripped(t *testing.T) {
	f := newFixture(t)
	f.pin(t, bank)
	if got := words(f.deliver(session(t, bank, day(6), tlsstate.TLS12))); got != "address steady none observe" {
		t.Errorf("over TLS: %s", got)
	}
	if got := words(f.deliver(session(t, bank, day(6), tlsstate.Plaintext))); got != "address downgrade stripped tempfail" {
		t.Errorf("in clear: %s", got)
	}
	nameless := bank
	nameless.Name, nameless.Resolve = "unknown", "TEMP"
	if got := words(f.deliver(session(t, nameless, day(6), tlsstate.Plaintext))); got != "address downgrade stripped tempfail" {
		t.Errorf("in clear with DNS broken: %s", got)
	}
	elsewhere := bank
	elsewhere.Addr, elsewhere.Name = "203.0.113.7", "mx2.bank.example"
	if got := words(f.deliver(session(t, elsewhere, day(6), tlsstate.Plaintext))); got != "domain downgrade stripped header" {
		t.Errorf("in clear from a new address of a narrow domain: %s", got)
	}
}

// A domain gets broad by addresses that were seen with TLS, in several networks.
func TestBroadDomain(t *testing.T) {
	f := newFixture(t)
	f.pin(t, bank)
	for host := range 28 {
		c := bank
		c.Addr = fmt.Sprintf("203.0.%d.%d", 1+host%5, 10+host)
		f.deliver(session(t, c, day(6), tlsstate.TLS13))
	}
	fresh := bank
	fresh.Addr = "198.18.7.7"
	if got := words(f.deliver(session(t, fresh, day(6), tlsstate.Plaintext))); got != "domain downgrade stripped tempfail" {
		t.Errorf("got %s", got)
	}
}

// A port that offers no STARTTLS strips nobody, and teaches nothing. But whoever
// strips can divert to it: while another port offers STARTTLS, a pinned peer in
// clear is a downgrade with a header. Once TLS was seen there, what comes in
// clear is the peer's doing. A port is the same on all our addresses.
func TestListener(t *testing.T) {
	f := newFixture(t)
	f.pin(t, bank)
	diverted := bank
	diverted.DaemonAddr = "198.51.100.2"
	if got := words(f.Decide(session(t, diverted, day(6), tlsstate.Plaintext))); got != "address downgrade stripped tempfail" {
		t.Errorf("at another address of ours: %s", got)
	}
	other := bank
	other.DaemonPort = "10025"
	s := session(t, other, day(6), tlsstate.Plaintext)
	if d := f.deliver(s); words(d) != "address downgrade stripped header" || d.Changes {
		t.Errorf("at another port: %s", words(d))
	}
	stranger := other
	stranger.Addr, stranger.Name = "203.0.113.99", "unknown"
	for _, s := range []*ratchet.Session{s, session(t, stranger, day(6), tlsstate.Plaintext)} {
		if s.Peer.IP == netip.MustParseAddr(bank.Addr) {
			f.with(func(o *ratchet.Options) { o.PlainListeners = []string{"10025"} })
		} else {
			f.with(func(o *ratchet.Options) { o.PlainListeners = nil })
		}
		d := f.deliver(s)
		if d.Outcome != tlsstate.Unknown || !errors.Is(d.Reason, ratchet.ErrNoSTARTTLS) || d.Changes {
			t.Errorf("%s: got %s, %v", s.Client(), words(d), d.Reason)
		}
	}
	if f.Failures() != 0 {
		t.Error("it counts as a failure")
	}
	if h, _ := f.memory.Load(s.Peer.Address); h.Seen[tlsstate.Plaintext] != 0 {
		t.Error("it taught something")
	}
	f.deliver(session(t, other, day(6), tlsstate.TLS12))
	if got := words(f.deliver(s)); got != "address downgrade stripped tempfail" {
		t.Errorf("after STARTTLS was seen: %s", got)
	}
	nowhere := bank
	nowhere.DaemonAddr, nowhere.DaemonPort = "", ""
	if d := f.deliver(session(t, nowhere, day(6), tlsstate.Plaintext)); d.Outcome != tlsstate.Unknown {
		t.Errorf("without a listener: %s", words(d))
	}
}

func TestExempt(t *testing.T) {
	f := newFixture(t, tlsstate.Row{Domain: "bank.example", Subdomains: true, Exempt: true})
	f.pin(t, bank)
	if f.memory.updates != 0 {
		t.Error("an exempt peer was learned")
	}
	user := bank
	user.Name = "laptop.isp.example"
	s := session(t, user, day(1), tlsstate.TLS13)
	s.Authenticated = true
	if d := f.deliver(s); d.Outcome != tlsstate.Exempt || f.memory.updates != 0 || !errors.Is(d.Reason, ratchet.ErrAuthenticated) {
		t.Errorf("authenticated: %s, %v, %d updates", words(d), d.Reason, f.memory.updates)
	}
	if d := f.Decide(session(t, bank, day(6), tlsstate.Plaintext)); !errors.Is(d.Reason, ratchet.ErrExempt) {
		t.Errorf("exempt by a row: %v", d.Reason)
	}
}

// A standing wish holds from the first mail on, with the row's action.
func TestLeast(t *testing.T) {
	reject := tlsstate.Reject
	f := newFixture(t, tlsstate.Row{Domain: "bank.example", Subdomains: true, Action: &reject, Least: tlsstate.TLS12})
	if got := words(f.deliver(session(t, bank, day(1), tlsstate.Plaintext))); got != "address downgrade stripped reject" {
		t.Errorf("before anybody used STARTTLS here: %s", got)
	}
	if f.memory.updates != 0 {
		t.Error("it taught something")
	}
	other := bank
	other.Name, other.Addr = "mx.other.example", "203.0.113.9"
	f.deliver(session(t, other, day(1), tlsstate.TLS12))
	if got := words(f.deliver(session(t, bank, day(1), tlsstate.Plaintext))); got != "address downgrade stripped reject" {
		t.Errorf("after it: %s", got)
	}
}

// Law 3: what was seen already today is written once.
func TestSteadyWritesNothing(t *testing.T) {
	f := newFixture(t)
	f.pin(t, bank)
	before := f.memory.updates
	for range 100 {
		if d := f.deliver(session(t, bank, day(5), tlsstate.TLS13)); d.Changes {
			t.Fatalf("%s changes something", words(d))
		}
	}
	if f.memory.updates != before {
		t.Errorf("%d updates", f.memory.updates-before)
	}
}

// What one identity knows already, another may still learn, and a session in
// clear teaches nothing of the listener.
func TestWhatChanges(t *testing.T) {
	f := newFixture(t)
	f.pin(t, bank)
	in := session(t, bank, day(5), tlsstate.TLS13)
	delete(f.memory.m, in.Peer.Domain)
	if d := f.Decide(in); !d.Changes {
		t.Error("a domain that is not known changes nothing")
	}
	stranger := bank
	stranger.Addr, stranger.Name = "203.0.113.99", "unknown"
	for i, want := range []bool{true, false} {
		if d := f.deliver(session(t, stranger, day(5), tlsstate.Plaintext)); d.Changes != want {
			t.Errorf("in clear, message %d: changes %t", i, d.Changes)
		}
	}
	if h := f.memory.m[in.Peer.Listener]; h.Seen[tlsstate.Plaintext] != 0 {
		t.Errorf("the listener learned %b", h.Seen[tlsstate.Plaintext])
	}
}

// One identity that can't be saved is a failure, whichever it is.
func TestEachIdentityIsSaved(t *testing.T) {
	for _, kind := range []tlsstate.Kind{tlsstate.Address, tlsstate.Domain, tlsstate.Listener, tlsstate.Network} {
		f := newFixture(t)
		f.memory.update = func(id tlsstate.Identity) error {
			if id.Kind == kind {
				return errors.New("disk gone")
			}
			return nil
		}
		if f.deliver(session(t, bank, day(1), tlsstate.TLS13)); f.Failures() != 1 {
			t.Errorf("%s: %d failures", kind, f.Failures())
		}
	}
}

// The rule says what a certificate means, at each decision.
func TestCertificateOfARow(t *testing.T) {
	reject := tlsstate.Reject
	f := newFixture(t, tlsstate.Row{Domain: "bank.example", Subdomains: true, Fingerprints: []string{"AA"}, Action: &reject})
	for key, want := range map[string]tlsstate.Action{"AA": tlsstate.Observe, "BB": tlsstate.Reject} {
		s := session(t, bank, day(1), tlsstate.TLS13)
		s.Fingerprints = ratchet.Fingerprints{Known: true, Key: key}
		if d := f.Decide(s); d.Action != want {
			t.Errorf("%s: %s", key, words(d))
		}
	}
}

func TestRulesAreSwapped(t *testing.T) {
	f := newFixture(t)
	f.pin(t, bank)
	f.SetRules(rules(t, tlsstate.Row{Domain: "mx1.bank.example", Exempt: true}))
	if d := f.Decide(session(t, bank, day(6), tlsstate.Plaintext)); d.Outcome != tlsstate.Exempt {
		t.Errorf("got %s", words(d))
	}
}

// Law 1: whatever fails inside, the outcome is unknown, which no action
// follows, and it is counted and logged.
func TestInnerFailures(t *testing.T) {
	disk := errors.New("input/output error")
	for _, tt := range []struct {
		name  string
		order func(*memory)
		want  string
	}{
		{"load fails", func(m *memory) { m.load = func(tlsstate.Identity) error { return disk } }, "loading listener:25: input/output error"},
		{"the address fails", func(m *memory) {
			m.load = func(id tlsstate.Identity) error {
				if id.Kind == tlsstate.Address {
					return disk
				}
				return nil
			}
		}, "loading address:192.0.2.10: input/output error"},
		{"the domain fails", func(m *memory) {
			m.load = func(id tlsstate.Identity) error {
				if id.Kind == tlsstate.Domain {
					return disk
				}
				return nil
			}
		}, "loading domain:bank.example: input/output error"},
		{"load panics", func(m *memory) { m.load = func(tlsstate.Identity) error { panic("boom") } }, "panic: boom"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.pin(t, bank)
			tt.order(f.memory)
			d := f.Decide(session(t, bank, day(6), tlsstate.Plaintext))
			if d.Outcome != tlsstate.Unknown || d.Action != tlsstate.Observe || d.Changes || d.Reason == nil || d.Reason.Error() != tt.want {
				t.Errorf("got %s, %v", words(d), d.Reason)
			}
			if f.Failures() != 1 || !strings.Contains(f.log.String(), "message accepted") {
				t.Errorf("%d failures, log %q", f.Failures(), f.log)
			}
		})
	}
	for name, fail := range map[string]func(tlsstate.Identity) error{
		"update fails":  func(tlsstate.Identity) error { return disk },
		"update panics": func(tlsstate.Identity) error { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.memory.update = fail
			f.deliver(session(t, bank, day(1), tlsstate.TLS13))
			if f.Failures() != 1 || f.log.Len() == 0 {
				t.Errorf("%d failures, log %q", f.Failures(), f.log)
			}
		})
	}
	f := newFixture(t)
	if d := f.Decide(session(t, bank, time.Time{}, tlsstate.TLS13)); !errors.Is(d.Reason, ratchet.ErrDay) {
		t.Errorf("a session without a day: %v", d.Reason)
	}
}

// How many reads a decision makes, for limits.read_milliseconds limits each: the
// first that fails ends it.
func TestReadsOfADecision(t *testing.T) {
	f, _ := newShared(t)
	f.with(func(o *ratchet.Options) { o.Senders = &notary{} })
	f.pin(t, bank)
	unconfirmed, unoffered := bank, bank
	unoffered.Addr, unoffered.DaemonPort = "192.0.2.11", "26"
	unconfirmed.Addr, unconfirmed.Name, unconfirmed.DaemonPort = "192.0.2.12", "unknown", "26"
	reads := func(c peer.Client, l tlsstate.Level, err error) (n int) {
		f.memory.load = func(tlsstate.Identity) error { n++; return err }
		s := session(t, c, day(6), l)
		s.From = "user@bank.example"
		if d := f.Decide(s); !errors.Is(d.Reason, err) {
			t.Errorf("%+v, %s: %v", c, l, d.Reason)
		}
		return n
	}
	for _, tt := range []struct {
		name   string
		client peer.Client
		level  tlsstate.Level
		err    error
		want   int
	}{
		{"over TLS: listener, address, domain, sender", bank, tlsstate.TLS13, nil, 4},
		{"in clear, of a new address, at a new port: other ports and the network, too", unoffered, tlsstate.Plaintext, nil, 6},
		{"the same, of an address without a name: the domain of its network", unconfirmed, tlsstate.Plaintext, nil, 6},
		{"the first takes too long", unoffered, tlsstate.Plaintext, errors.New("timeout"), 1},
	} {
		if n := reads(tt.client, tt.level, tt.err); n != tt.want {
			t.Errorf("%s: %d reads, want %d", tt.name, n, tt.want)
		}
	}
}

// A clock that jumps ahead is judged with, but not written, until a day passes
// on it or an operator confirms it.
func TestClockAhead(t *testing.T) {
	f := newFixture(t)
	f.pin(t, bank)
	written := func(n int) bool {
		before := f.memory.updates
		f.deliver(session(t, bank, day(n), tlsstate.TLS13))
		return f.memory.updates > before
	}
	for _, tt := range []struct {
		day  int
		want bool
	}{
		{30, true},   // within 30 days of day 5
		{400, false}, // a jump
		{400, false},
		{31, true},   // and back
		{400, false}, // a jump again
		{401, true},  // a day has passed on it
		{402, true},
		{4000, false},
		{5000, false}, // another jump is no day that passed
		{5001, true},
	} {
		if got := written(tt.day); got != tt.want {
			t.Errorf("day %d: written %v, want %v", tt.day, got, tt.want)
		}
	}
	if n := strings.Count(f.log.String(), "the clock is far ahead"); n != 4 {
		t.Errorf("logged %d times, want once a jump:\n%s", n, f.log)
	}
	f = newFixture(t)
	f.pin(t, bank)
	f.ConfirmClock(tlsstate.DayOf(day(500)))
	before := f.memory.updates
	if f.deliver(session(t, bank, day(500), tlsstate.TLS13)); f.memory.updates == before {
		t.Error("a confirmed clock is not written")
	}
}

// A store that is away fails for every message, and a slow one for some: the log has
// its first failure, and its end once none came for a minute.
func TestFailuresAreLoggedOnce(t *testing.T) { synctest.Test(t, failuresAreLoggedOnce) }

func failuresAreLoggedOnce(t *testing.T) {
	f := newFixture(t)
	away := func(tlsstate.Identity) error { return errors.New("disk gone") }
	works := func() {
		f.memory.load = nil
		f.Decide(session(t, bank, day(6), tlsstate.TLS13))
	}
	for range 2 {
		for range 100 {
			f.memory.load = away
			f.Decide(session(t, bank, day(6), tlsstate.TLS13))
			works()
		}
		time.Sleep(time.Minute)
		works()
	}
	log := f.log.String()
	if n := strings.Count(log, "level=ERROR"); n != 2 || f.Failures() != 200 {
		t.Errorf("%d errors in the log of %d failures, want 2 of 200:\n%s", n, f.Failures(), log)
	}
	if n := strings.Count(log, `msg="decisions work again" after=1m0s failures=100`); n != 2 {
		t.Errorf("the end is logged %d times:\n%s", n, log)
	}
}

// The stack of a panic is in the log, at error level, once.
func TestPanicIsLoggedWithItsStack(t *testing.T) {
	f := newFixture(t)
	f.memory.load = func(tlsstate.Identity) error { panic("boom") }
	for range 3 {
		f.Decide(session(t, bank, day(6), tlsstate.TLS13))
	}
	log := f.log.String()
	if strings.Count(log, "level=ERROR") != 3 || strings.Count(log, "stack=") != 1 || !strings.Contains(log, "TestPanicIsLoggedWithItsStack") {
		t.Errorf("got\n%s", log)
	}
}

// Any number of sessions at once lose nothing.
func TestConcurrent(t *testing.T) {
	f := newFixture(t)
	var wg sync.WaitGroup
	for n := 1; n <= 8; n++ {
		wg.Go(func() {
			for range 50 {
				f.deliver(session(t, bank, day(n), tlsstate.TLS12))
			}
		})
	}
	wg.Wait()
	h, _ := f.memory.Load(tlsstate.Identity{Kind: tlsstate.Address, Name: bank.Addr})
	if h.Seen[tlsstate.TLS12] != 1<<8-1 {
		t.Errorf("days seen: %b", h.Seen[tlsstate.TLS12])
	}
}

func BenchmarkDecide(b *testing.B) {
	f := newFixture(b)
	f.pin(b, bank)
	b.ReportAllocs()
	for b.Loop() {
		p, err := peer.Identify(bank)
		if err != nil {
			b.Fatal(err)
		}
		s := ratchet.Session{At: day(5), Peer: p}
		s.Level = tlsstate.TLS13
		if d := f.Decide(&s); d.Outcome != tlsstate.Steady {
			b.Fatal(d.Outcome)
		}
	}
}

// TestPrivateAddresses: behind a gateway every client has its address, so that
// private ones are not judged unless the configuration says so. The first
// session is logged.
func TestPrivateAddresses(t *testing.T) {
	judged := tlsstate.Row{Network: netip.MustParsePrefix("192.168.7.0/24"), Judged: true}
	required := tlsstate.Row{Network: netip.MustParsePrefix("10.9.0.0/16"), Least: tlsstate.TLS12}
	f := newFixture(t, judged, required)
	for _, tt := range []struct {
		addr string
		want string
	}{
		{"172.17.0.1", "exempt"},
		{"100.64.3.4", "exempt"},
		{"IPv6:fd12:3456::1", "exempt"},
		{"IPv6:fe80::1", "exempt"},
		{"192.168.7.9", "new"},
		{"192.168.8.9", "exempt"},
		{"10.9.1.1", "new"},
		{"100.128.0.1", "new"},
		{"192.0.2.1", "new"},
	} {
		c := bank
		c.Addr, c.Name = tt.addr, "unknown"
		d := f.deliver(session(t, c, day(1), tlsstate.TLS13))
		if d.Outcome.String() != tt.want || (d.Outcome == tlsstate.Exempt) != errors.Is(d.Reason, ratchet.ErrPrivate) {
			t.Errorf("%s: %s, %v", tt.addr, d.Outcome, d.Reason)
		}
	}
	if s := f.log.String(); strings.Count(s, "private address") != 1 || !strings.Contains(s, "client=unknown[172.17.0.1] tls=true") {
		t.Errorf("want one line, for the first:\n%s", s)
	}
	f = newFixture(t)
	gateway := bank
	gateway.Addr = "10.0.0.1"
	if f.Decide(session(t, gateway, day(1), tlsstate.Plaintext)); !strings.Contains(f.log.String(), "tls=false") {
		t.Errorf("in clear:\n%s", f.log)
	}
}

// TestSenderRow: mail of a partner must come encrypted from whatever host; the
// client's own exemption goes before it, and gateways stay unjudged.
func TestSenderRow(t *testing.T) {
	tempfail := tlsstate.Tempfail
	f := newFixture(t, tlsstate.Row{Sender: "partner.example", Least: tlsstate.TLS12, Action: &tempfail},
		tlsstate.Row{Network: netip.MustParsePrefix("203.0.113.0/24"), Exempt: true})
	for _, tc := range []struct {
		addr, from string
		level      tlsstate.Level
		want       tlsstate.Action
	}{
		{"192.0.2.10", "a@partner.example", tlsstate.Plaintext, tlsstate.Tempfail},
		{"192.0.2.10", "<a@Partner.Example.>", tlsstate.Plaintext, tlsstate.Tempfail},
		{"192.0.2.10", "a@partner.example", tlsstate.TLS12, tlsstate.Observe},
		{"192.0.2.10", "a@other.example", tlsstate.Plaintext, tlsstate.Observe},
		{"192.0.2.10", "", tlsstate.Plaintext, tlsstate.Observe},
		{"203.0.113.7", "a@partner.example", tlsstate.Plaintext, tlsstate.Observe},
		{"10.0.0.7", "a@partner.example", tlsstate.Plaintext, tlsstate.Observe},
	} {
		c := bank
		c.Addr = tc.addr
		s := session(t, c, day(1), tc.level)
		s.From = tc.from
		d := f.Decide(s)
		if d.Action != tc.want || (tc.want == tlsstate.Tempfail) != (d.Row() == "partner.example" && d.Required) {
			t.Errorf("%+v: %s, %+v", tc, d.Action, d.Verdict)
		}
	}
}

// TestDowngradeStaysOne: a downgrade is what was decided, though its pin is forgotten before
// the session is learned, and the first one forms anew.
func TestDowngradeStaysOne(t *testing.T) {
	f := newFixture(t)
	f.with(func(o *ratchet.Options) {
		policy := tlsstate.DefaultPolicy()
		policy.PinAfterDays = 1
		var err error
		if o.Rules, err = tlsstate.NewRules(policy, nil); err != nil {
			t.Fatal(err)
		}
	})
	s := session(t, bank, day(1), tlsstate.TLS12)
	d := f.Decide(s)
	if f.Learn(s, &d); !d.Pinned() || d.Identity != s.Peer.Address {
		t.Fatalf("%+v", d)
	}
	s = session(t, bank, day(2), tlsstate.Weak)
	d = f.Decide(s)
	clear(f.memory.m)
	if f.Learn(s, &d); d.Outcome != tlsstate.Downgraded || f.memory.m[s.Peer.Address].Pins[0].Formed == 0 {
		t.Errorf("%+v; %+v", d, f.memory.m[s.Peer.Address])
	}
}
