package population

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/tlsstate"
)

// smallSending is a world of a few seconds: one attack in it is 1.6 percent, and
// one message 23 of a million.
func smallSending() Options { return Options{Seed: 1, Peers: 600, Days: LeastDays} }

// TestSendingAims holds our defaults to their aims on a small world.
func TestSendingAims(t *testing.T) {
	all, err := TrySending(smallSending(), SendRules()[:1], nil)
	if err != nil {
		t.Fatal(err)
	}
	f := all[0]
	for _, a := range f.Aims() {
		if !a.Met {
			t.Errorf("%s: %s, want %s", a.Name, a.Got, a.Want)
		}
	}
	if f.Attacks < 50 || f.Messages < 40_000 || f.Touched < 400 || f.Walled < 500 || f.Held < 800 {
		t.Errorf("a poor world: %+v", f)
	}
	for _, r := range f.Rows {
		if r.Attacks == 0 {
			t.Errorf("no attack: %s", r.Row.Name)
		}
	}
}

// TestSendingRules: release on the second day lets attacks through within hours,
// and a map that only grows returns mail.
func TestSendingRules(t *testing.T) {
	for name, ok := range map[string]func(f *SendFigures) bool{
		"release_after_days = 2": func(f *SendFigures) bool { return f.Returned == 0 && percent(f.Stopped, f.Attacks) < 60 },
		"for ever":               func(f *SendFigures) bool { return f.Returned > 100 && f.perMillion() > 1000 },
		"on_outage":              func(f *SendFigures) bool { return f.Returned == 0 && f.Walled < 150 },
	} {
		t.Run(name, func(t *testing.T) {
			at := slices.IndexFunc(SendRules(), func(r SendRule) bool { return strings.Contains(r.Name, name) })
			all, err := TrySending(smallSending(), SendRules()[at:at+1], nil)
			if err != nil || !ok(all[0]) {
				t.Errorf("%+v, error %v", all[0], err)
			}
		})
	}
}

// TestSendingSame: the seed decides all.
func TestSendingSame(t *testing.T) {
	o := smallSending()
	o.Peers = 100
	once, err := TrySending(o, SendRules()[:1], nil)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := TrySending(o, SendRules()[:1], nil); err != nil || !cmp.Equal(once, again) {
		t.Errorf("the same seed: %s, error %v", cmp.Diff(once, again), err)
	}
	o.Seed++
	if other, err := TrySending(o, SendRules()[:1], nil); err != nil || cmp.Equal(once, other) {
		t.Errorf("another seed made the same world, error %v", err)
	}
}

// TestMeet: what a connection meets.
func TestMeet(t *testing.T) {
	mixed := Destination{MX: 2, BareMX: 1, Level: tlsstate.TLS13}
	nodes := Destination{Nodes: 4, BareNode: 1, Level: tlsstate.TLS13}
	broken := Destination{Level: tlsstate.TLS13, Trouble: Handshakes}
	off := Destination{Level: tlsstate.TLS13, Turn: TurnsOff}
	first, all := Wiretap{Share: 1, Means: StripFirst}, Wiretap{Share: 1, Means: Disturb}
	w := &SendWorld{
		places: []place{{kind: &mixed}, {kind: &nodes}, {kind: &broken, troubles: []span{{0, 10}}}, {kind: &off, turnAt: 10}},
		taps:   []tap{{&first, 0, span{20, 30}}, {&all, -1, span{40, 50}}},
		on:     map[int][]int{0: {0}, -1: {1}},
	}
	plain, good := offer{touched: -1}, offer{level: tlsstate.TLS13, touched: -1}
	for _, tt := range []struct {
		name  string
		i, mx int
		at    int64
		u     float64
		want  offer
	}{
		{"the first MX", 0, 0, 0, 0, good},
		{"the last, without TLS", 0, 1, 0, 0, plain},
		{"a good node", 1, 0, 0, 0.7, good},
		{"the bare node", 1, 0, 0, 0.8, plain},
		{"in trouble", 2, 0, 9, 0, offer{level: tlsstate.TLS13, broken: true, touched: -1}},
		{"after it", 2, 0, 10, 0, good},
		{"before it is off", 3, 0, 9, 0, good},
		{"off", 3, 0, 10, 0, plain},
		{"stripped", 0, 0, 20, 0, offer{touched: 0}},
		{"stripped, the last", 0, 1, 20, 0, plain},
		{"disturbed for all", 1, 0, 40, 0, offer{level: tlsstate.TLS13, broken: true, touched: 1}},
		{"our own firewall", 1, 0, walls[0].from, 0, plain},
	} {
		if got := w.meet(tt.i, tt.mx, tt.at, tt.u); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestSendingPage: docs/policy.md has the tables of the rules that there are.
func TestSendingPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tables, _ := strings.Cut(string(page), SendBegin)
	var names []string
	for _, r := range SendRules() {
		names = append(names, r.Name)
	}
	for i := range wiretaps {
		names = append(names, wiretaps[i].Name)
	}
	for i := range destinations {
		names = append(names, destinations[i].Name)
	}
	for _, name := range names {
		if !strings.Contains(tables, "| "+name+" |") {
			t.Errorf("no row for %s: run make population", name)
		}
	}
}
