package ratchet_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// crowd is peers in good order, each with a domain and a network of its own.
func crowd(n int) []peer.Client {
	all := make([]peer.Client, n)
	for i := range all {
		all[i] = bank
		all[i].Addr = fmt.Sprintf("20.%d.%d.25", i/250, i%250)
		all[i].Name = fmt.Sprintf("mx1.c%d.example", i)
	}
	return all
}

// check is a self-check to order.
type check struct {
	works bool
	at    time.Time
}

func (c *check) last() (bool, time.Time) { return c.works, c.at }

// breakerFixture is a ratchet with a breaker and peers that it pins on day 5.
type breakerFixture struct {
	fixture
	*ratchet.Breaker
	policy  tlsstate.Policy
	check   check
	changes []string
}

// newInstallation has the numbers that a configuration begins with.
func newInstallation() ratchet.BreakerOptions {
	return ratchet.BreakerOptions{Domains: 10, Window: 10 * time.Minute, PinDays: 7}
}

func newBreakerFixture(t testing.TB, action tlsstate.Action, rows ...tlsstate.Row) *breakerFixture {
	t.Helper()
	f := &breakerFixture{fixture: newFixture(t, rows...)}
	f.policy = tlsstate.DefaultPolicy()
	f.policy.Stripped = action
	r, err := tlsstate.NewRules(f.policy, rows)
	if err != nil {
		t.Fatal(err)
	}
	f.with(func(o *ratchet.Options) { o.Rules = r })
	o := newInstallation()
	o.SelfCheck = f.check.last
	o.Changed = func(a ratchet.Answer) { f.changes = append(f.changes, a.String()) }
	f.Breaker = ratchet.NewBreaker(o)
	f.with(func(o *ratchet.Options) { o.Breaker = f.Breaker })
	return f
}

func (f *breakerFixture) pinAll(t testing.TB, all []peer.Client) {
	for _, c := range all {
		f.pin(t, c)
	}
}

// strip lets one message of each come in clear, one after the other, and
// returns what was done to them.
func (f *breakerFixture) strip(t testing.TB, all []peer.Client, from time.Time, gap time.Duration) (actions []tlsstate.Action) {
	t.Helper()
	for i, c := range all {
		d := f.deliver(session(t, c, from.Add(time.Duration(i)*gap), tlsstate.Plaintext))
		if d.Outcome != tlsstate.Downgraded {
			t.Fatalf("peer %d: %+v", i, d.Verdict)
		}
		actions = append(actions, d.Action)
	}
	return actions
}

// runs says how often each action came, in order.
func runs(actions []tlsstate.Action) string {
	var out []string
	for i := 0; i < len(actions); {
		j := i
		for j < len(actions) && actions[j] == actions[i] {
			j++
		}
		out = append(out, fmt.Sprintf("%d %s", j-i, actions[i]))
		i = j
	}
	return strings.Join(out, ", ")
}

func TestBreaker(t *testing.T) {
	later := day(20)
	tests := []struct {
		name   string
		action tlsstate.Action
		check  check
		peers  func(all []peer.Client) []peer.Client
		from   time.Time
		gap    time.Duration
		// between is a peer in good order that comes after each of them.
		between bool
		want    string
		changes string
	}{
		{name: "ten are ten", action: tlsstate.Reject, peers: first(10), from: later, gap: time.Second, want: "10 reject"},
		{name: "our TLS is broken", action: tlsstate.Tempfail, check: check{false, later}, from: later, gap: time.Second, want: "15 header", changes: "suspended"},
		{name: "broken, and one listener still works", action: tlsstate.Tempfail, check: check{false, later}, from: later, gap: time.Second, between: true, want: "15 header", changes: "suspended"},
		{name: "somebody strips close to us", action: tlsstate.Tempfail, check: check{true, later.Add(time.Second)}, from: later, gap: time.Second, want: "15 tempfail", changes: "softened"},
		{name: "somebody strips close to us, reject", action: tlsstate.Reject, check: check{true, later.Add(time.Second)}, from: later, gap: time.Second, want: "10 reject, 5 tempfail", changes: "softened"},
		{name: "the self-check worked before it broke", action: tlsstate.Reject, check: check{true, later.Add(-time.Minute)}, from: later, gap: time.Second, want: "10 reject, 5 tempfail", changes: "softened"},
		{name: "the self-check worked long before it broke", action: tlsstate.Reject, check: check{true, later.Add(-3 * time.Hour)}, from: later, gap: time.Second, want: "10 reject, 5 tempfail", changes: "softened"},
		{name: "the self-check worked before it broke, and not since", action: tlsstate.Reject, check: check{true, later.Add(-time.Minute)}, from: later, gap: 3 * time.Second, want: "10 reject, 5 header", changes: "suspended"},
		{name: "it was known that our TLS is broken", action: tlsstate.Reject, check: check{false, later.Add(-time.Minute)}, from: later, gap: time.Second, want: "15 header", changes: "suspended"},
		{name: "no self-check, and nobody comes encrypted", action: tlsstate.Reject, from: later, gap: time.Second, want: "10 reject, 5 header", changes: "suspended"},
		{name: "no self-check, and others come encrypted", action: tlsstate.Reject, from: later, gap: time.Second, between: true, want: "10 reject, 5 tempfail", changes: "softened"},
		{name: "the self-check died hours ago", action: tlsstate.Reject, check: check{false, later.Add(-3 * time.Hour)}, from: later, gap: time.Second, between: true, want: "10 reject, 5 tempfail", changes: "softened"},
		{name: "over hours, others come encrypted", action: tlsstate.Reject, from: later, gap: 20 * time.Minute, between: true, want: "15 reject"},
		{name: "over hours, nobody comes encrypted: a small server", action: tlsstate.Reject, from: later, gap: 20 * time.Minute, want: "10 reject, 5 header", changes: "suspended"},
		{name: "one network", action: tlsstate.Reject, peers: func(all []peer.Client) []peer.Client {
			for i := range all {
				all[i].Addr = fmt.Sprintf("20.9.9.%d", i+1)
			}
			return all
		}, from: later, gap: time.Second, want: "15 reject"},
		{name: "one IPv6 registry's customer", action: tlsstate.Reject, peers: func(all []peer.Client) []peer.Client {
			for i := range all {
				all[i].Addr = fmt.Sprintf("2001:db8:%x::1", i+1)
			}
			return all
		}, from: later, gap: time.Second, want: "15 reject"},
		{name: "one domain", action: tlsstate.Reject, peers: func(all []peer.Client) []peer.Client {
			for i := range all {
				all[i].Name = fmt.Sprintf("mx%d.one.example", i)
			}
			return all
		}, from: later, gap: time.Second, want: "15 reject"},
		{name: "no domains: networks count", action: tlsstate.Reject, check: check{true, later.Add(time.Second)}, peers: func(all []peer.Client) []peer.Client {
			for i := range all {
				all[i].Name, all[i].Resolve = "unknown", "FAIL"
			}
			return all
		}, from: later, gap: time.Second, want: "10 reject, 5 tempfail", changes: "softened"},
		{name: "young pins", action: tlsstate.Reject, from: day(11), gap: time.Second, want: "15 reject"},
		{name: "young pins, and our TLS is broken", action: tlsstate.Tempfail, check: check{false, day(11)}, from: day(11), gap: time.Second, want: "15 header", changes: "suspended"},
		{name: "headers only", action: tlsstate.Header, check: check{false, later}, from: later, gap: time.Second, want: "15 header", changes: "suspended"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newBreakerFixture(t, tt.action)
			all := crowd(15)
			if tt.peers != nil {
				all = tt.peers(all)
			}
			f.pinAll(t, append(all, bank))
			f.check = tt.check
			var got []tlsstate.Action
			for i := range all {
				at := tt.from.Add(time.Duration(i) * tt.gap)
				got = append(got, f.strip(t, all[i:i+1], at, 0)...)
				if tt.between {
					f.deliver(session(t, bank, at, tlsstate.TLS13))
				}
			}
			if s := runs(got); s != tt.want {
				t.Errorf("got %s, want %s", s, tt.want)
			}
			if s := strings.Join(f.changes, ", "); s != tt.changes {
				t.Errorf("changes %q, want %q", s, tt.changes)
			}
		})
	}
}

// TestBreakerLooks: more than ten come within the seconds that the self-check
// takes to look again. Until it has, nothing is let through that has a pin; what
// it then found, holds.
func TestBreakerLooks(t *testing.T) {
	for _, tt := range []struct {
		name    string
		found   *check // nil: it never answers
		want    string
		changes string
	}{
		{"somebody strips close to us", &check{true, day(20).Add(2 * time.Second)}, "10 reject, 4 tempfail, 16 tempfail", "softened"},
		{"our TLS is broken", &check{false, day(20).Add(2 * time.Second)}, "10 reject, 4 tempfail, 16 header", "softened, suspended"},
		{"it hangs, and nobody comes encrypted", nil, "10 reject, 4 tempfail, 16 header", "softened, suspended"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newBreakerFixture(t, tlsstate.Reject)
			all := crowd(30)
			f.pinAll(t, all)
			f.check = check{true, day(20).Add(-time.Minute)}
			got := runs(f.strip(t, all[:14], day(20), 100*time.Millisecond))
			if tt.found != nil {
				f.check = *tt.found
			}
			got += ", " + runs(f.strip(t, all[14:], day(20).Add(20*time.Second), 100*time.Millisecond))
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if s := strings.Join(f.changes, ", "); s != tt.changes {
				t.Errorf("changes %q, want %q", s, tt.changes)
			}
		})
	}
}

func first(n int) func([]peer.Client) []peer.Client {
	return func(all []peer.Client) []peer.Client { return all[:n] }
}

// TestBreakerForSale is an attacker with many names of his own, each with a pin
// that he earned, and a victim. Whatever he does, the victim's message is not
// let in, and with ten names nothing changes at all.
func TestBreakerForSale(t *testing.T) {
	for _, names := range []int{10, 11, 40} {
		for _, action := range []tlsstate.Action{tlsstate.Tempfail, tlsstate.Reject} {
			t.Run(fmt.Sprintf("%d names, %s", names, action), func(t *testing.T) {
				f := newBreakerFixture(t, action)
				his, others := crowd(41)[:names], crowd(41)[40]
				f.pinAll(t, append(his, others, bank))
				f.strip(t, his, day(20), time.Second)
				f.deliver(session(t, others, day(20).Add(time.Minute), tlsstate.TLS13))
				if names == 10 && f.State(day(20).Add(time.Minute)).Answer != ratchet.Armed {
					t.Error("ten names tripped it")
				}
				got := f.deliver(session(t, bank, day(20).Add(2*time.Minute), tlsstate.Plaintext))
				if got.Action < tlsstate.Tempfail {
					t.Errorf("the victim's message: %s, breaker %s", got.Action, got.Breaker)
				}
				again := f.deliver(session(t, bank, day(20).Add(time.Hour), tlsstate.Plaintext))
				if again.Action != action || again.Breaker != ratchet.Armed {
					t.Errorf("an hour later: %s, breaker %s", again.Action, again.Breaker)
				}
			})
		}
	}
}

// TestBreakerOutage is a day on which our own TLS broke, and the days after it.
func TestBreakerOutage(t *testing.T) {
	f := newBreakerFixture(t, tlsstate.Tempfail, tlsstate.Row{Domain: "c12.example", Subdomains: true, Action: ptr(tlsstate.Reject)})
	all := crowd(20)
	f.pinAll(t, all)
	noon := day(20)
	f.check = check{false, noon}
	got := f.strip(t, all, noon, time.Minute)
	if s := runs(got); s != "12 header, 1 reject, 7 header" {
		t.Errorf("during it: %s", s)
	}
	stranger := bank
	if d := f.Decide(session(t, stranger, noon.Add(time.Hour), tlsstate.Plaintext)); d.Changes {
		t.Error("a stranger in clear taught us something of himself")
	}
	f.check = check{true, noon.Add(2 * time.Hour)}
	f.deliver(session(t, all[3], noon.Add(2*time.Hour), tlsstate.TLS13))
	for _, tt := range []struct {
		peer int
		at   time.Time
		want string
	}{
		{15, noon.Add(24 * time.Hour), "header excused"},     // it remembers a failed handshake
		{12, noon.Add(24 * time.Hour), "reject excused"},     // the operator's own wish
		{16, noon.Add(4 * 24 * time.Hour), "tempfail armed"}, // no longer
	} {
		d := f.deliver(session(t, all[tt.peer], tt.at, tlsstate.Plaintext))
		if s := fmt.Sprintf("%s %s", d.Action, d.Breaker); s != tt.want {
			t.Errorf("peer %d at %s: %s, want %s", tt.peer, tt.at, s, tt.want)
		}
	}
	f.deliver(session(t, all[17], noon.Add(24*time.Hour), tlsstate.TLS13))
	if d := f.deliver(session(t, all[17], noon.Add(48*time.Hour), tlsstate.Plaintext)); d.Action != tlsstate.Tempfail {
		t.Errorf("a peer that was encrypted since: %s %s", d.Action, d.Breaker)
	}
	if got := strings.Join(f.changes, ", "); got != "suspended, softened, armed" && got != "suspended, armed" {
		t.Errorf("changes: %s", got)
	}
}

func ptr[T any](v T) *T { return &v }

// TestWeakenedIsNoSilence: sessions with weaker TLS are encrypted: however many
// come, they don't show that our own TLS is broken.
func TestWeakenedIsNoSilence(t *testing.T) {
	f := newBreakerFixture(t, tlsstate.Reject)
	f.policy.Weakened = tlsstate.Reject
	r, err := tlsstate.NewRules(f.policy, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.SetRules(r)
	all := crowd(12)
	f.pinAll(t, all)
	var d ratchet.Decision
	for i, c := range all {
		d = f.Decide(session(t, c, day(20).Add(time.Duration(i)*time.Second), tlsstate.Weak))
	}
	if d.Breaker != ratchet.Softened || d.Action != tlsstate.Tempfail {
		t.Errorf("%s: %s", d.Breaker, words(d))
	}
}
