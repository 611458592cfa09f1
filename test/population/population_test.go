package population

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// small is a world of a few seconds. It has the same single happenings as a
// large one, so that they weigh more.
func small() Options { return Options{Seed: 1, Peers: 600, Days: LeastDays, Hostile: true} }

func find(t *testing.T, name string) *Rule {
	t.Helper()
	for _, r := range Rules() {
		if strings.Contains(r.Name, name) {
			return &r
		}
	}
	t.Fatalf("no rule %q", name)
	return nil
}

// TestAims holds our defaults to their aims on a small world. One attack and
// some ten messages are a percent of it, or hundreds of a million.
func TestAims(t *testing.T) {
	all, err := TryAll(small(), Rules()[:1], nil)
	if err != nil {
		t.Fatal(err)
	}
	f := all[0]
	for _, a := range f.Aims() {
		switch a.Name {
		case "attacks caught in all", "wrong alerts a day, in a world of a million messages":
			continue
		}
		if !a.Met {
			t.Errorf("%s: %s, want %s", a.Name, a.Got, a.Want)
		}
	}
	if missed := f.Attacks - f.First - f.Later; missed > 2 {
		t.Errorf("%d of %d attacks were missed", missed, f.Attacks)
	}
	if f.Wrong > 20 {
		t.Errorf("%d wrong alerts", f.Wrong)
	}
	if f.Attacks < 30 || f.Messages < 30_000 || f.Stripped < 500 || f.Known < 10 {
		t.Errorf("a poor world: %d attacks, %d messages, %d stripped, %d known", f.Attacks, f.Messages, f.Stripped, f.Known)
	}
}

// TestBreakerIsWorthIt: without one our own outage delays everybody; without a
// self-check it is found out all the same.
func TestBreakerIsWorthIt(t *testing.T) {
	w := New(small())
	for _, tt := range []struct {
		rule        string
		least, most int
	}{
		{"no breaker", 50, 10_000},
		{"no self-check", 1, 10},
	} {
		f, err := w.Try(find(t, tt.rule))
		if err != nil {
			t.Fatal(err)
		}
		if f.OutageDomains < tt.least || f.OutageDomains > tt.most || f.Lost > 0 {
			t.Errorf("%s: %d domains delayed, %d messages lost", tt.rule, f.OutageDomains, f.Lost)
		}
	}
}

// TestOthers: the rules that pin for ever lose mail, and the one that asks for
// no proof can be poisoned.
func TestOthers(t *testing.T) {
	rules := []Rule{*find(t, "one TLS mail"), *find(t, "any TLS connection")}
	all, err := TryAll(small(), rules, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f := all[0]; f.Lost < 500 || f.Others != 0 || f.Delayed != 0 {
		t.Errorf("%s: %d lost, %d delayed, %d others", f.Rule, f.Lost, f.Delayed, f.Others)
	}
	if f := all[1]; f.Lost < all[0].Lost || f.Others < 100 {
		t.Errorf("%s: %d lost, %d others", f.Rule, f.Lost, f.Others)
	}
}

// TestSame: the seed decides all, and another one makes another world.
func TestSame(t *testing.T) {
	o := small()
	o.Peers = 200
	once, err := New(o).Try(&Rules()[0])
	if err != nil {
		t.Fatal(err)
	}
	again, err := New(o).Try(&Rules()[0])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(once, again); diff != "" {
		t.Errorf("the same seed:\n%s", diff)
	}
	o.Seed++
	if other, err := New(o).Try(&Rules()[0]); err != nil || cmp.Equal(once, other) {
		t.Errorf("another seed made the same world, error %v", err)
	}
}

// TestMemory: what it keeps is what a store keeps, in any order.
func TestMemory(t *testing.T) {
	rule := Defaults()
	id := tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.10"}
	forwards, backwards := newMemory(&rule), newMemory(&rule)
	for n := range tlsstate.Day(6) {
		for i, m := range []*memory{forwards, backwards} {
			d := 20000 + n
			if i == 1 {
				d = 20005 - n
			}
			_, err := m.Update(id, netip.MustParseAddr(id.Name), d, func(h tlsstate.History) tlsstate.History {
				_, after := tlsstate.Judge(h, tlsstate.Observation{Day: d, Security: tlsstate.Security{Level: tlsstate.TLS13}}, &rule)
				return after
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	a, _ := forwards.Load(id)
	b, _ := backwards.Load(id)
	if a.PinState(tlsstate.TLS12, &rule, 20005, true) != tlsstate.PinHolds || b.PinState(tlsstate.TLS12, &rule, 20005, true) != tlsstate.PinHolds {
		t.Errorf("no pin: %+v, %+v", a, b)
	}
	if forwards.Newest() != 20005 || backwards.Newest() != 20005 {
		t.Errorf("newest days %s, %s", forwards.Newest(), backwards.Newest())
	}
	if h, err := forwards.Load(tlsstate.Identity{}); err != nil || h != (tlsstate.History{}) {
		t.Errorf("of nobody: %+v, %v", h, err)
	}
}

// TestPolicyPage: docs/policy.md has the tables of the rules that there are.
func TestPolicyPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tables, found := strings.Cut(string(page), Begin)
	if !found || !strings.Contains(tables, End) {
		t.Fatal("the page has no marks")
	}
	for _, r := range Rules() {
		if !strings.Contains(tables, "| "+r.Name+" |") {
			t.Errorf("no row for %s: run make population", r.Name)
		}
	}
	for _, s := range Sites() {
		if !strings.Contains(tables, " "+s.Name+" |") {
			t.Errorf("no column for %s: run make population", s.Name)
		}
	}
	for i := range attacks {
		if !strings.Contains(tables, "| "+attacks[i].Name+" |") {
			t.Errorf("no row for %s: run make population", attacks[i].Name)
		}
	}
	for i := range kinds {
		if !strings.Contains(tables, "| "+kinds[i].Name+" |") {
			t.Errorf("no row for %s: run make population", kinds[i].Name)
		}
	}
}

func TestTables(t *testing.T) {
	o := small()
	o.Peers = 200
	all, err := TryAll(o, Rules()[:2], nil)
	if err != nil {
		t.Fatal(err)
	}
	tables := Tables(o, all)
	columns := 0
	for line := range strings.Lines(tables) {
		n := strings.Count(line, "|")
		if n > 0 && columns > 0 && n != columns {
			t.Errorf("%d columns, want %d: %s", n, columns, line)
		}
		columns = n
	}
	page := "# A page\n\n" + Begin + "\nold\n" + End + "\nand the rest\n"
	once, err := Insert(page, Begin, tables)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := Insert(once, Begin, tables)
	if err != nil || once != twice || strings.Contains(once, "\nold\n") || !strings.HasSuffix(once, "\nand the rest\n") {
		t.Errorf("inserted as %q, error %v", twice, err)
	}
	if _, err := Insert("no marks", Begin, tables); err == nil {
		t.Error("inserted into a page without marks")
	}
}

func TestComma(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1: "-1"} {
		if got := comma(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}

// TestSelfCheck: the simulated one knows what was true when it last looked.
func TestSelfCheck(t *testing.T) {
	o, err := newOurs(&Rules()[0])
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[int64]bool{outageFrom + 2*minute: false, outageFrom - 1: true, outageTo + 6*minute: true, outageTo - 1: false} {
		o.now = epoch.Add(seconds(at))
		if works, _ := o.selfCheck(); works != want {
			t.Errorf("%d seconds into the outage: works %t", at-outageFrom, works)
		}
	}
	var _ ratchet.Histories = newMemory(nil)
}
