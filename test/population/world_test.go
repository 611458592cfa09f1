package population

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tlsratchet/tlsstate"
)

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// TestWorld: it is what the tables say.
func TestWorld(t *testing.T) {
	w := New(Options{Seed: 3, Peers: 2500, Days: LeastDays})
	if n := len(w.peers); n < 2500 || n > 2750 {
		t.Errorf("%d peers", n)
	}
	if n := len(w.mail); n < 150_000 || n > 1_000_000 {
		t.Errorf("%d messages", n)
	}
	last := int64(0)
	for i := range w.mail {
		m := &w.mail[i]
		if m.at < last || m.at >= w.end() {
			t.Fatalf("message %d of %d comes after one of %d", i, m.at, last)
		}
		last = m.at
	}
	rows := map[*Attack]int{}
	for i := range w.attacks {
		a := &w.attacks[i]
		rows[a.row]++
		if a.from < 0 || a.to > w.end() || a.from >= a.to {
			t.Errorf("an attack from %d to %d", a.from, a.to)
		}
	}
	for i := range attacks {
		if a := &attacks[i]; rows[a] < a.Count/3 {
			t.Errorf("%s: %d, want about %d", a.Name, rows[a], (a.Count+1)/2)
		}
	}
}

// TestKinds: the peers look to us as their kind says.
func TestKinds(t *testing.T) {
	w := New(small())
	domains := map[string]map[tlsstate.Identity]bool{}
	for i := range w.hosts {
		h := &w.hosts[i]
		k := w.peers[h.peer].kind
		d := h.named.Domain
		if (k.Naming != Own || k == &attackerKind && h.named.Host == "") != d.IsZero() {
			t.Errorf("%s: host %s has domain %q", k.Name, h.named.Host, d.Name)
		}
		if !h.nameless.Domain.IsZero() || h.nameless.Address != h.named.Address || h.bare.Listener == h.named.Listener {
			t.Errorf("%s: %+v, %+v, %+v", k.Name, h.named, h.nameless, h.bare)
		}
		if domains[k.Name] == nil {
			domains[k.Name] = map[tlsstate.Identity]bool{}
		}
		domains[k.Name][d] = true
	}
	if n := len(domains["cloud customer under the provider's name"]); n > 8 {
		t.Errorf("cloud customers have %d domains", n)
	}
	if n := len(domains["small server"]); n < 100 {
		t.Errorf("small servers have %d domains", n)
	}
	names := map[string]bool{}
	for i := range kinds {
		if k := &kinds[i]; names[k.Name] || k.Hosts < 1 || k.PerDay <= 0 || strings.Contains(k.Name, "|") {
			t.Errorf("kind %+v", k)
		}
		names[kinds[i].Name] = true
	}
}

// TestPeaceful: hostile senders change nothing in what others send.
func TestPeaceful(t *testing.T) {
	o := small()
	hostileWorld := New(o)
	o.Hostile = false
	peaceful := New(o)
	k := 0
	for i := range hostileWorld.mail {
		m := &hostileWorld.mail[i]
		if m.bits&hostile != 0 {
			continue
		}
		if *m != peaceful.mail[k] {
			t.Fatalf("message %d: %+v, and %+v without them", i, *m, peaceful.mail[k])
		}
		k++
	}
	if k != len(peaceful.mail) || k == len(hostileWorld.mail) {
		t.Errorf("%d of %d, %d without them", k, len(hostileWorld.mail), len(peaceful.mail))
	}
	if len(hostileWorld.attacks) != len(peaceful.attacks) {
		t.Error("other attacks")
	}
	for i := range peaceful.attacks {
		if hostileWorld.attacks[i] != peaceful.attacks[i] {
			t.Errorf("attack %d: %+v, and %+v without them", i, hostileWorld.attacks[i], peaceful.attacks[i])
		}
	}
}

// TestOverlays: what the wire makes of a session.
func TestOverlays(t *testing.T) {
	week := Attack{Share: 1}
	weaken := Attack{Share: 1, To: tlsstate.Weak, DNS: true}
	k, off := Kind{}, Kind{Turn: TurnsOff}
	w := &World{
		peers: []peerTruth{{kind: &k}, {kind: &off, turnAt: 50 * day}},
		hosts: []host{{peer: 0}, {peer: 0}, {peer: 0, clear: true}, {peer: 1}},
		attacks: []attack{
			{row: &week, peer: 0, host: 0, from: 10 * day, to: 17 * day},
			{row: &weaken, peer: 0, host: -1, from: 20 * day, to: 21 * day},
			{row: &week, peer: -1, host: -1, from: 30 * day, to: 31 * day},
		},
		strips: map[int][]int{0: {0, 1}, -1: {2}},
	}
	for _, tt := range []struct {
		name string
		host int32
		at   int64
		bits uint8
		want happens
	}{
		{"nothing", 0, 9 * day, 0, happens{tlsstate.TLS12, -1, false}},
		{"stripped", 0, 10 * day, 0, happens{tlsstate.Plaintext, 0, false}},
		{"over", 0, 17 * day, 0, happens{tlsstate.TLS12, -1, false}},
		{"another host", 1, 10 * day, 0, happens{tlsstate.TLS12, -1, false}},
		{"weakened", 1, 20 * day, 0, happens{tlsstate.Weak, 1, true}},
		{"in clear by itself", 2, 20 * day, 0, happens{tlsstate.Plaintext, -1, false}},
		{"everybody", 3, 30 * day, 0, happens{tlsstate.Plaintext, 2, false}},
		{"turned off", 3, 50 * day, 0, happens{tlsstate.Plaintext, -1, false}},
		{"our outage", 0, outageFrom, 0, happens{tlsstate.Plaintext, -1, false}},
		{"no STARTTLS there", 0, 9 * day, viaBare, happens{tlsstate.Plaintext, -1, false}},
	} {
		m := message{level: tlsstate.TLS12, bits: tt.bits}
		if got := w.session(&m, 1, tt.host, tt.at); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestRetries: a sender comes again after 5 minutes, then waits twice as long
// each time, up to four hours, and gives up after five days.
func TestRetries(t *testing.T) {
	k := Kind{}
	w := &World{peers: []peerTruth{{kind: &k, hosts: []int{0}}}, hosts: []host{{}}, mail: []message{{at: 1000}}}
	r := &run{w: w, fates: make([]fate, 1)}
	next, tries := try{at: 1000}, 1
	var waits []int64
	for {
		r.again(&w.mail[0], next)
		if len(r.queue) == 0 {
			break
		}
		waits = append(waits, r.queue[0].at-next.at)
		next, r.queue = r.queue[0], nil
		tries++
	}
	want := []int64{5 * minute, 10 * minute, 20 * minute, 40 * minute, 80 * minute, 160 * minute, 4 * hour, 4 * hour}
	for i := range want {
		if waits[i] != want[i] {
			t.Errorf("wait %d is %d s, want %d", i+1, waits[i], want[i])
		}
	}
	if !r.fates[0].lost || next.at > 1000+retryFor || next.at < 1000+retryFor-4*hour {
		t.Errorf("gave up after %d s, lost %t", next.at-1000, r.fates[0].lost)
	}
	if tries < 30 || tries > 40 {
		t.Errorf("%d tries", tries)
	}
}

// TestPoisson draws about as many as its mean.
func TestPoisson(t *testing.T) {
	w := &World{}
	for _, mean := range []float64{0, 0.03, 0.6, 5, 29, 250} {
		rng, sum := w.rngFor(9, int(mean*100)), 0
		const times = 4000
		for range times {
			n := poisson(rng, mean)
			if n < 0 {
				t.Fatal("less than none")
			}
			sum += n
		}
		if got := float64(sum) / times; math.Abs(got-mean) > 5*math.Sqrt(mean/times)+0.001 {
			t.Errorf("mean %.3f, want %.3f", got, mean)
		}
	}
}

func TestChance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := chance(rapid.Uint64().Draw(t, "a"), rapid.Uint64().Draw(t, "b"))
		if x < 0 || x >= 1 {
			t.Fatalf("chance %f", x)
		}
	})
	hits := 0
	for n := range uint64(100_000) {
		if chance(n, 7) < 0.01 {
			hits++
		}
	}
	if hits < 800 || hits > 1200 {
		t.Errorf("%d of 100,000 are one in a hundred", hits)
	}
}

// TestAlarms: what is an alarm, and what that of the breaker replaces.
func TestAlarms(t *testing.T) {
	name := func(s string) tlsstate.Identity { return tlsstate.Identity{Kind: tlsstate.Domain, Name: s} }
	address := func(s string) tlsstate.Identity { return tlsstate.Identity{Kind: tlsstate.Address, Name: s} }
	k := &Kind{}
	down := func(at int64, id, of string, action tlsstate.Action, tripped bool) *downgrade {
		return &downgrade{at: at, kind: k, name: name(of), wrong: true, answer: &answer{action: action, identity: address(id), downgrade: true, tripped: tripped}}
	}
	tests := []struct {
		name           string
		come           []*downgrade
		opened, alerts int
	}{
		{"one", []*downgrade{down(0, "a", "x", tlsstate.Tempfail, false)}, 1, 1},
		{"a header is no alarm", []*downgrade{down(0, "a", "x", tlsstate.Header, false)}, 0, 0},
		{"it gathers what follows", []*downgrade{down(0, "a", "x", tlsstate.Header, false), down(hour, "a", "x", tlsstate.Tempfail, false), down(day, "a", "x", tlsstate.Tempfail, false), down(2*day, "a", "x", tlsstate.Tempfail, false)}, 1, 1},
		{"a quiet day ends it", []*downgrade{down(0, "a", "x", tlsstate.Tempfail, false), down(day+1, "a", "x", tlsstate.Tempfail, false)}, 2, 2},
		{"two addresses of a domain are one alert", []*downgrade{down(0, "a", "x", tlsstate.Tempfail, false), down(1, "b", "x", tlsstate.Tempfail, false)}, 2, 1},
		{"the alarm of the breaker replaces those just before", []*downgrade{down(0, "a", "x", tlsstate.Tempfail, false), down(hour, "b", "y", tlsstate.Tempfail, false), down(hour+1, "c", "z", tlsstate.Header, true), down(hour+2, "d", "w", tlsstate.Tempfail, true)}, 3, 2},
	}
	for _, tt := range tests {
		a := newAlarms()
		for _, d := range tt.come {
			a.alarm(d)
		}
		if a.opened != tt.opened || a.wronglyOpened != tt.opened || len(a.alerts) != tt.alerts || a.wrongAlerts() != tt.alerts || a.wrongBy[k] != tt.alerts {
			t.Errorf("%s: %d incidents and %d alerts, want %d and %d", tt.name, a.opened, len(a.alerts), tt.opened, tt.alerts)
		}
	}
}
