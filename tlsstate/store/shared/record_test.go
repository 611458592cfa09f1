package shared

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"pgregory.net/rapid"

	"tlsratchet/test/storetest"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

const today = storetest.Today

var bank = tlsstate.Identity{Kind: tlsstate.Domain, Name: "bank.example"}

// alone is a store without a loop, which knows of the bank what is given.
func alone(t testing.TB, known tlsstate.History) *Store {
	t.Helper()
	rule := tlsstate.DefaultPolicy()
	o := Options{Now: today.Time, Policy: func(tlsstate.Kind) *tlsstate.Policy { return &rule }}.withDefaults()
	s := &Store{local: store.NewMemory(100), opts: o, changed: newChanged(o.MaxChanged)}
	s.recent, _ = lru.New[tlsstate.Identity, time.Time](10)
	if _, err := s.Update(bank, netip.Addr{}, today, func(tlsstate.History) tlsstate.History { return known }); err != nil {
		t.Fatal(err)
	}
	return s
}

// lives are histories as sessions and operators make them.
var lives = rapid.Custom(func(t *rapid.T) (h tlsstate.History) {
	for range rapid.IntRange(0, 12).Draw(t, "acts") {
		day := today - tlsstate.Day(rapid.IntRange(0, 80).Draw(t, "days ago"))
		switch rapid.IntRange(0, 9).Draw(t, "act") {
		case 0:
			h = h.Unpin(day)
		case 1:
			h = h.Forget(day)
		default:
			h = storetest.Sees(h, day, tlsstate.Level(rapid.IntRange(0, 3).Draw(t, "level")))
		}
	}
	return h
})

// Whatever two hosts know: both end with all of it, whichever meets the other's
// record, and after that neither owes the server anything.
func TestMeeting(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b := lives.Draw(rt, "a"), lives.Draw(rt, "b")
		here, there := alone(t, a), alone(t, b)
		m, err := here.meet(bank, record(b))
		if err != nil {
			rt.Fatal(err)
		}
		both := tlsstate.Merge(a, b)
		if tlsstate.Merge(m.mine, both) != m.mine {
			rt.Fatalf("something was lost:\n%+v\n%+v", m.mine, both)
		}
		if m.news != (m.mine != a) {
			rt.Fatalf("news: %v", m.news)
		}
		on := record(b)
		if owed := m.is; owed != "" {
			on = owed
		}
		second, err := there.meet(bank, on)
		if err != nil || second.mine != m.mine || second.is != "" {
			rt.Fatalf("the other: %+v, %v, owes %q; want %+v", second.mine, err, second.is, m.mine)
		}
		if again, err := here.meet(bank, on); err != nil || again.news || again.is != "" {
			rt.Fatalf("once more: %+v, %v", again, err)
		}
	})
}

func record(h tlsstate.History) string {
	if h == (tlsstate.History{}) {
		return ""
	}
	return encode(h)
}

// Whatever the server holds under a key, a host takes it or leaves it, and
// never knows less after it.
func FuzzRecord(f *testing.F) {
	known := storetest.Sees(tlsstate.History{}, today-3, tlsstate.TLS12)
	f.Add("")
	f.Add(mistaken)
	f.Add(encode(known))
	f.Add(encode(known.Forget(today)))
	f.Add(encode(storetest.Sees(known, today+9, tlsstate.TLS13)))
	f.Fuzz(func(t *testing.T, value string) {
		s := alone(t, known)
		m, err := s.meet(bank, value)
		after, lerr := s.Load(bank)
		if lerr != nil || tlsstate.Merge(after, known) != after || after.Valid() != nil {
			t.Fatalf("after %q: %+v, %v", value, after, lerr)
		}
		if err != nil {
			if !errors.Is(err, errMistaken) || after != known || s.undecodable.Load()+s.refused.Load() != 1 {
				t.Fatalf("left alone, but: %v, %+v", err, after)
			}
			return
		}
		if m.mine != after || int(after.Newest()) > int(today)+1 {
			t.Fatalf("met as %+v, known as %+v", m.mine, after)
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add("tlsratchet:address:192.0.2.10")
	f.Add("tlsratchet:generation")
	f.Add("tlsratchet:listener:192.0.2.25:25")
	f.Add("else")
	s := &Store{opts: Options{}.withDefaults()}
	f.Fuzz(func(t *testing.T, key string) {
		id, ok := s.parseKey(key)
		if ok && (s.key(id) != key || !shareable(id)) {
			t.Errorf("%q is read as %s", key, id)
		}
	})
}

func TestKeys(t *testing.T) {
	s := &Store{opts: Options{}.withDefaults()}
	for key, want := range map[string]bool{
		"tlsratchet:address:192.0.2.10": true, "tlsratchet:address:2001:db8::/64": true, "tlsratchet:sender:bank.example/192.0.2.0/24": true,
		"tlsratchet:generation": false, "tlsratchet:listener:192.0.2.25:25": false, "tlsratchet:address:": false,
		"other:address:192.0.2.10": false, "tlsratchet:port:25": false, "tlsratchet:domain:a b": false, "": false,
	} {
		if _, ok := s.parseKey(key); ok != want {
			t.Errorf("%q: %v", key, ok)
		}
	}
}

func TestChanged(t *testing.T) {
	c := newChanged(3)
	name := func(i int) tlsstate.Identity {
		return tlsstate.Identity{Kind: tlsstate.Domain, Name: fmt.Sprint("d", i)}
	}
	for i, first := range []bool{true, false, false} {
		if got := c.add(name(i)); got != first {
			t.Errorf("%d: the first: %v", i, got)
		}
		c.add(name(i)) // it is there already
	}
	if got := c.take(2); len(got) != 2 || c.len() != 1 || c.all.Load() {
		t.Errorf("took %v, %d are left", got, c.len())
	}
	for i := range 3 {
		c.add(name(10 + i))
	}
	if !c.all.Load() || c.len() != 1 || !c.all.Swap(false) || c.all.Swap(false) {
		t.Errorf("too many: %d left", c.len())
	}
	if got := c.take(99); len(got) != 1 || len(c.take(1)) != 0 {
		t.Errorf("took %v", got)
	}
}

// How long the server keeps a pin, and which pins form, is the policy's.
func TestRecordsByThePolicy(t *testing.T) {
	s := alone(t, tlsstate.History{})
	var mine, theirs tlsstate.History
	for d := range tlsstate.Day(3) {
		mine = storetest.Sees(mine, today-2*d, tlsstate.TLS12)
		theirs = storetest.Sees(theirs, today-2*d-1, tlsstate.TLS12)
	}
	rule := tlsstate.DefaultPolicy()
	rule.PinAfterDays = 7
	if met := join(mine, theirs, &rule); met != tlsstate.Merge(mine, theirs) || pinned(&met) {
		t.Errorf("before there are days enough: %+v", met)
	}
	rule.PinAfterDays = 6
	rule.PinMaxAgeDays = 300
	if met := join(mine, theirs, &rule); !pinned(&met) || s.life(&met, &rule) != 300*86400 {
		t.Errorf("kept for %d s: %+v", s.life(&met, &rule), met)
	}
}

// Pins of a kind form by the policy of that kind: destinations have their own.
func TestPoliciesOfKinds(t *testing.T) {
	s := alone(t, tlsstate.History{})
	s.opts.Policy = func(k tlsstate.Kind) *tlsstate.Policy {
		rule := tlsstate.DefaultPolicy()
		if k == tlsstate.Destination {
			rule.PinAfterDays = 20
		}
		return &rule
	}
	for kind, want := range map[tlsstate.Kind]bool{tlsstate.Domain: true, tlsstate.Destination: false} {
		id := tlsstate.Identity{Kind: kind, Name: "bank.example"}
		var mine tlsstate.History
		for d := range tlsstate.Day(6) {
			m, err := s.meet(id, encode(storetest.Sees(tlsstate.History{}, today-5+d, tlsstate.TLS12)))
			if err != nil {
				t.Fatal(err)
			}
			mine = m.mine
		}
		if pinned(&mine) != want {
			t.Errorf("%s: pinned %v", id, !want)
		}
	}
}

// What the server was asked for a moment ago is not asked for again.
func TestRecent(t *testing.T) {
	s := alone(t, tlsstate.History{})
	other := tlsstate.Identity{Kind: tlsstate.Domain, Name: "other.example"}
	listener := tlsstate.Identity{Kind: tlsstate.Listener, Name: "192.0.2.25:25"}
	s.recent.Add(bank, time.Now().Add(-time.Minute))
	for age, want := range map[time.Duration][]tlsstate.Identity{
		time.Hour: {other}, time.Second: {bank, other}, 0: {bank, other}, -1: {bank, other},
	} {
		if got := s.stale(age, []tlsstate.Identity{bank, listener, other}); !slices.Equal(got, want) {
			t.Errorf("within %s: %v, want %v", age, got, want)
		}
	}
}

// pinned reports whether any pin formed.
func pinned(h *tlsstate.History) bool {
	return slices.ContainsFunc(append(h.Pins[:], h.CertPin), func(p tlsstate.Pin) bool { return p.Formed > 0 })
}

// The longest record is looked at, and one that is longer is not.
func TestTheLongestRecord(t *testing.T) {
	for n, want := range map[int]bool{tlsstate.MaxRecord: false, tlsstate.MaxRecord + 1: true} {
		_, err := decode(strings.Repeat("x", n))
		if err == nil || strings.Contains(err.Error(), "more than") != want {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}
