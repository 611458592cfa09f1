package ratchet

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"tlsratchet/tlsstate"
)

var boundaryNoon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

// strip has the n-th of a row of peers come in clear, and returns the action.
func strip(b *Breaker, n int, at time.Time, change func(*Decision)) tlsstate.Action {
	return stripAs(b, &Session{At: at}, n, change)
}

func stripAs(b *Breaker, s *Session, n int, change func(*Decision)) tlsstate.Action {
	s.Peer.IP = netip.AddrFrom4([4]byte{20, byte(n), 1, 1})
	s.Peer.Domain = tlsstate.Identity{Kind: tlsstate.Domain, Name: fmt.Sprintf("peer%d.example", n)}
	d := &Decision{rule: &tlsstate.Policy{}}
	d.Outcome, d.Kind, d.Action = tlsstate.Downgraded, tlsstate.Stripped, tlsstate.Reject
	d.Identity, d.Since = tlsstate.Identity{Kind: tlsstate.Address, Name: s.Peer.IP.String()}, s.day()-30
	if change != nil {
		change(d)
	}
	b.limit(s, d)
	return d.Action
}

func boundaryBreaker() *Breaker {
	return NewBreaker(BreakerOptions{Domains: 10, Window: 10 * time.Minute, PinDays: 7})
}

// TestWhatTripsTheBreaker: first-hand pins of some age, of addresses alone, and
// not what a row requires.
func TestWhatTripsTheBreaker(t *testing.T) {
	today := tlsstate.DayOf(boundaryNoon)
	for _, tt := range []struct {
		name   string
		change func(*Decision)
		trips  bool
	}{
		{"addresses", nil, true},
		{"pins of 7 days", func(d *Decision) { d.Since = today - 7 }, true},
		{"pins of 6 days", func(d *Decision) { d.Since = today - 6 }, false},
		{"domains", func(d *Decision) { d.Identity.Kind = tlsstate.Domain }, false},
		{"rows", func(d *Decision) { d.Required = true }, false},
	} {
		b := boundaryBreaker()
		for n := range 11 {
			strip(b, n, boundaryNoon, func(d *Decision) {
				d.Action = tlsstate.Header // enforcement befalls nobody: only first-hand pins count
				if tt.change != nil {
					tt.change(d)
				}
			})
		}
		if got := b.s.Answer != Armed; got != tt.trips {
			t.Errorf("%s: %s", tt.name, b.s.Answer)
		}
	}
}

// TestRowsAreNeverLimited: what a row requires keeps its action.
func TestRowsAreNeverLimited(t *testing.T) {
	b, suspended := boundaryBreaker(), Suspended
	b.Override(&suspended)
	if got := strip(b, 1, boundaryNoon, nil); got != tlsstate.Header {
		t.Errorf("a pin's: %s", got)
	}
	if got := strip(b, 1, boundaryNoon, func(d *Decision) { d.Required = true }); got != tlsstate.Reject {
		t.Errorf("a row's: %s", got)
	}
}

// TestArmsAtHalf: the breaker arms itself once no more than half as many names
// as trip it came within the window.
func TestArmsAtHalf(t *testing.T) {
	for _, tt := range []struct {
		left int
		want Answer
	}{{6, Softened}, {5, Armed}} {
		b := boundaryBreaker()
		b.o.SelfCheck = func() (bool, time.Time) { return true, boundaryNoon.Add(time.Second) }
		for n := range 11 {
			at := boundaryNoon
			if n >= 11-tt.left {
				at = at.Add(time.Minute)
			}
			strip(b, n, at, nil)
		}
		if got := b.State(boundaryNoon.Add(10*time.Minute + 30*time.Second)).Answer; got != tt.want {
			t.Errorf("%d left: %s", tt.left, got)
		}
	}
}

// encrypted has a peer of order come with TLS.
func encrypted(b *Breaker, at time.Time) {
	b.limit(&Session{At: at, Security: tlsstate.Security{Level: tlsstate.TLS13}}, &Decision{})
}

// inClear has a stranger come in clear, and returns the answer.
func inClear(b *Breaker, at time.Time) Answer {
	d := Decision{rule: &tlsstate.Policy{}}
	b.limit(&Session{At: at}, &d)
	return d.Breaker
}

// TestInClear: what holds for strangers in clear, whose habit nobody learns
// while our own TLS is broken.
func TestInClear(t *testing.T) {
	fails := func() (bool, time.Time) { return false, boundaryNoon }
	works := func() (bool, time.Time) { return true, boundaryNoon }
	suspended := Suspended
	for _, tt := range []struct {
		name      string
		selfCheck func() (bool, time.Time)
		stripped  int
		override  *Answer
		want      Answer
	}{
		{"nothing is known", nil, 0, nil, Armed},
		{"the self-check works", works, 0, nil, Armed},
		{"the self-check fails, and nobody was pinned", fails, 0, nil, Suspended},
		{"eleven came, and there is no self-check", nil, 11, nil, Suspended},
		{"the operator suspended it", nil, 0, &suspended, Suspended},
	} {
		b := boundaryBreaker()
		b.o.SelfCheck = tt.selfCheck
		b.Override(tt.override)
		for n := range tt.stripped {
			strip(b, n, boundaryNoon, nil)
		}
		if got := inClear(b, boundaryNoon.Add(time.Second)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if got := b.State(boundaryNoon.Add(time.Second)).Began; tt.selfCheck != nil && tt.want == Suspended && !got.Equal(boundaryNoon.Add(time.Second)) {
			t.Errorf("%s: began %s", tt.name, got)
		}
	}
}

// TestSilenceIsADay: without a self-check names count for 24 hours if nobody
// comes encrypted, and to the second.
func TestSilenceIsADay(t *testing.T) {
	for after, want := range map[time.Duration]Answer{24 * time.Hour: Suspended, 24*time.Hour + time.Second: Armed} {
		b := boundaryBreaker()
		for n := range 10 {
			strip(b, n, boundaryNoon, nil)
		}
		if strip(b, 10, boundaryNoon.Add(after), nil); b.s.Answer != want {
			t.Errorf("after %s: %s, want %s", after, b.s.Answer, want)
		}
	}
}

// TestWeakenedEndsSilence: a session that is weakened is an encrypted one.
func TestWeakenedEndsSilence(t *testing.T) {
	for level, want := range map[tlsstate.Level]Answer{tlsstate.Plaintext: Suspended, tlsstate.Weak: Softened} {
		b := boundaryBreaker()
		for n := range 16 {
			s := &Session{At: boundaryNoon, Security: tlsstate.Security{Level: tlsstate.Plaintext}}
			if n == 8 {
				s.Level = level
			}
			stripAs(b, s, n, nil)
		}
		if b.s.Answer != want {
			t.Errorf("one of 16 came with %s: %s, want %s", level, b.s.Answer, want)
		}
	}
}

// TestBreakerNetworks: without a domain a name is a network, /24 or /32.
func TestBreakerNetworks(t *testing.T) {
	for addr, want := range map[string]string{"192.0.2.255": "192.0.2.0/24", "2001:db8:ffff::1": "2001:db8::/32"} {
		s := Session{At: boundaryNoon}
		s.Peer.IP = netip.MustParseAddr(addr)
		if got := s.BreakerName(); got != (BreakerName{want, want, boundaryNoon}) {
			t.Errorf("%s: %+v", addr, got)
		}
	}
}

// TestStateIsACopy: what the breaker counts later leaves it alone.
func TestStateIsACopy(t *testing.T) {
	b := boundaryBreaker()
	strip(b, 1, boundaryNoon, nil)
	s := b.State(boundaryNoon)
	strip(b, 1, boundaryNoon.Add(time.Minute), nil)
	for _, l := range [][]BreakerName{s.Recent, s.Silent, s.Delayed} {
		if len(l) != 1 || !l[0].At.Equal(boundaryNoon) {
			t.Errorf("%+v", l)
		}
	}
}

// TestUnlimited is the action before the breaker.
func TestUnlimited(t *testing.T) {
	tr := &trial{Session: &Session{At: boundaryNoon}, Decision: Decision{rule: &tlsstate.Policy{Stripped: tlsstate.Reject, Least: tlsstate.Weak}}}
	tr.address.id.Kind, tr.dry = tlsstate.Address, true
	new(Ratchet).judge(tr)
	if tr.Unlimited != tlsstate.Reject {
		t.Errorf("%s", tr.Unlimited)
	}
}

// TestDelayed lists those that more than a header befell, for a day.
func TestDelayed(t *testing.T) {
	b := boundaryBreaker()
	for n, action := range []tlsstate.Action{tlsstate.Observe, tlsstate.Header, tlsstate.Quarantine, tlsstate.Tempfail, tlsstate.Reject} {
		strip(b, n, boundaryNoon, func(d *Decision) { d.Action = action })
	}
	strip(b, 7, boundaryNoon, func(d *Decision) { d.Required = true })
	strip(b, 8, boundaryNoon, func(d *Decision) { d.rule = &tlsstate.Policy{Peer: true} })
	for i, want := range []int{3, 0} {
		if got := b.State(boundaryNoon.Add(24*time.Hour + time.Duration(i)*time.Second)); len(got.Delayed) != want {
			t.Errorf("delayed: %v, want %d", got.Delayed, want)
		}
	}
}

// TestOldestNameGoes: of too many names the one that came longest ago goes.
func TestOldestNameGoes(t *testing.T) {
	var l []BreakerName
	for i, minute := range []int{5, 3, 9, 7} {
		addName(&l, BreakerName{Name: fmt.Sprint(i), Network: fmt.Sprint("net", i), At: boundaryNoon.Add(time.Duration(minute) * time.Minute)}, 3)
	}
	if len(l) != 3 || l[0].Name != "0" || l[1].Name != "2" || l[2].Name != "3" {
		t.Errorf("left: %v", l)
	}
	addName(&l, BreakerName{Name: "0", At: boundaryNoon.Add(time.Hour)}, 3)
	if len(l) != 3 || !l[0].At.Equal(boundaryNoon.Add(time.Hour)) || l[0].Network != "net0" {
		t.Errorf("came again: %v", l)
	}
}

// TestQuietArms: a day without names arms the breaker for whoever asks first,
// and a self-check that fails meanwhile suspends without another downgrade.
func TestQuietArms(t *testing.T) {
	for _, tt := range []struct {
		name string
		ask  func(b *Breaker, at time.Time) Answer
	}{
		{"a downgrade", func(b *Breaker, at time.Time) Answer { strip(b, 1, at, nil); return b.s.Answer }},
		{"a stranger in clear", func(b *Breaker, at time.Time) Answer { return inClear(b, at) }},
		{"explain", func(b *Breaker, at time.Time) Answer {
			d := Decision{rule: &tlsstate.Policy{}}
			d.Outcome = tlsstate.Downgraded
			b.preview(&Session{At: at}, &d)
			return d.Breaker
		}},
		{"a state", func(b *Breaker, at time.Time) Answer { return b.State(at).Answer }},
	} {
		b, works := boundaryBreaker(), true
		at := boundaryNoon
		b.o.SelfCheck = func() (bool, time.Time) { return works, at }
		for n := range 11 {
			strip(b, n, boundaryNoon, nil)
		}
		if b.s.Answer != Softened {
			t.Fatalf("eleven: %s", b.s.Answer)
		}
		at = boundaryNoon.Add(25 * time.Hour) // a day later the silence is over, too
		if got := tt.ask(b, at); got != Armed {
			t.Errorf("%s, a day later: %s", tt.name, got)
		}
		if works = false; b.State(at).Answer != Armed { // nobody came
			t.Errorf("%s: a state trips it", tt.name)
		}
	}
	b, works := boundaryBreaker(), true
	b.o.SelfCheck = func() (bool, time.Time) { return works, boundaryNoon }
	var changes []Answer
	b.o.Changed = func(a Answer) { changes = append(changes, a) }
	for n := range 11 {
		strip(b, n, boundaryNoon, nil)
	}
	encrypted(b, boundaryNoon.Add(time.Second)) // which ends the silence
	if encrypted(b, boundaryNoon.Add(time.Hour)); len(changes) != 2 || changes[1] != Armed {
		t.Errorf("an encrypted session, an hour later: %v", changes)
	}
	for n := range 11 {
		strip(b, n, boundaryNoon, nil)
	}
	if works = false; b.State(boundaryNoon.Add(time.Second)).Answer != Suspended {
		t.Errorf("the self-check failed: %s", b.s.Answer)
	}
}

// TestSinceStays: an answer that holds on is not a new one with each downgrade.
func TestSinceStays(t *testing.T) {
	b := boundaryBreaker()
	b.o.SelfCheck = func() (bool, time.Time) { return true, boundaryNoon.Add(4 * time.Hour) }
	for n := range 14 { // too many in silence, but few at a time
		strip(b, n, boundaryNoon.Add(time.Duration(n)*20*time.Minute), nil)
	}
	if want := boundaryNoon.Add(10 * 20 * time.Minute); b.s.Answer != Softened || !b.s.Since.Equal(want) {
		t.Errorf("%s since %s, want %s", b.s.Answer, b.s.Since, want)
	}
}
