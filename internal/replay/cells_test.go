package replay

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tlsratchet/internal/maillog"
	"tlsratchet/test/loggen"
	"tlsratchet/tlsstate"
)

// seen is a session as the test draws it.
type seen struct {
	client, kind int
	at           int64
	messages     uint32
}

func drawSeen(t *rapid.T) seen {
	return seen{
		client: rapid.IntRange(0, 5).Draw(t, "client"), kind: rapid.IntRange(0, 3).Draw(t, "kind"),
		at:       100*86400 + rapid.SampledFrom([]int64{0, 1, 86399, 86400, 200000, 5 * 86400}).Draw(t, "at"),
		messages: rapid.Uint32Range(1, 3).Draw(t, "messages"),
	}
}

// few are the clients and kinds that are drawn from.
func few() (clients []*maillog.Client, kinds []kind) {
	for n := range 6 {
		clients = append(clients, &maillog.Client{Name: fmt.Sprintf("mx.bank%d.example", n%4), Addr: fmt.Sprintf("192.0.2.%d", n), Number: n})
	}
	l := &maillog.Listener{Host: "mx1", Service: "postfix/smtpd"}
	for n := range 4 {
		s := &tlsstate.Security{Level: tlsstate.Level(n), Protocol: fmt.Sprint(n)}
		kinds = append(kinds, kind{listener: l, security: s, authenticated: n == 2, unknown: n == 0})
	}
	return clients, kinds
}

func fold(all []seen) *cells {
	clients, kinds := few()
	cs := newCells()
	for _, s := range all {
		k := key{client: cs.client(clients[s.client]), kind: cs.kind(kinds[s.kind]), day: tlsstate.Day(s.at / 86400)}
		cs.of(k, s.at).add(s.at, s.messages)
	}
	return &cs
}

// words are the cells in their order, without numbers that depend on how they
// came.
func words(cs *cells) (all []string) {
	for _, place := range cs.sorted() {
		c := cs.at(place)
		k := cs.kinds[c.kind]
		all = append(all, fmt.Sprintf("%d %s %v: %d to %d, %d sessions, %d messages, %d at most, %v",
			c.day, cs.clients[c.client].Addr, k.security.Level, c.first, c.last, c.sessions, c.messages, c.most, c.repeated()))
	}
	return all
}

// Cells are what a map of them would be, in the order of time, whatever the
// order in which the sessions came.
func TestCells(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Custom(drawSeen), 0, 60).Draw(t, "sessions")
		cs := fold(all)
		type where struct {
			client, kind int
			day          int64
		}
		model := make(map[where][]seen)
		for _, s := range all {
			w := where{s.client, s.kind, s.at / 86400}
			model[w] = append(model[w], s)
		}
		var want []string
		byTime := slices.SortedFunc(maps.Values(model), func(a, b []seen) int {
			earliest := func(s []seen) int64 {
				return slices.MinFunc(s, func(a, b seen) int { return cmp.Compare(a.at, b.at) }).at
			}
			return cmp.Or(cmp.Compare(earliest(a), earliest(b)), cmp.Compare(b[0].kind, a[0].kind), cmp.Compare(a[0].client, b[0].client))
		})
		for _, of := range byTime {
			first, last, messages, most := of[0].at, of[0].at, uint32(0), uint32(0)
			for _, s := range of {
				first, last, messages, most = min(first, s.at), max(last, s.at), messages+s.messages, max(most, s.messages)
			}
			want = append(want, fmt.Sprintf("%d 192.0.2.%d %v: %d to %d, %d sessions, %d messages, %d at most, %v",
				first/86400, of[0].client, tlsstate.Level(of[0].kind), first, last, len(of), messages, most, most > 1 || last > first))
		}
		if diff := gocmp.Diff(want, words(cs)); diff != "" {
			t.Fatal(diff)
		}
		shuffled := rapid.Permutation(all).Draw(t, "shuffled")
		if diff := gocmp.Diff(want, words(fold(shuffled))); diff != "" {
			t.Fatalf("shuffled: %s", diff)
		}
	})
}

// More cells than a slab holds are all there, and found again.
func TestManyCells(t *testing.T) {
	clients, kinds := few()
	cs := newCells()
	const n = 2*slab + 10
	for range 2 {
		for i := range n {
			k := key{client: cs.client(clients[i%6]), kind: cs.kind(kinds[i%4]), day: tlsstate.Day(i / 24)}
			cs.of(k, int64(i)).add(int64(i), 1)
		}
	}
	if cs.count != uint32(len(cs.places)) || len(cs.kinds) != 4 || len(cs.clients) != 6 {
		t.Fatalf("%d cells, %d places, %d kinds, %d clients", cs.count, len(cs.places), len(cs.kinds), len(cs.clients))
	}
	order := cs.sorted()
	sessions := uint32(0)
	for i, place := range order {
		sessions += cs.at(place).sessions
		if i > 0 && cs.at(place).first < cs.at(order[i-1]).first {
			t.Fatal("not in the order of time")
		}
	}
	if sessions != 2*n || len(order) != int(cs.count) {
		t.Errorf("%d sessions in %d cells, want %d in %d", sessions, len(order), 2*n, cs.count)
	}
}

// What is remembered is of peers and their days: five times the lines of the
// same peers add nothing.
func TestMemoryIsNotOfLines(t *testing.T) {
	read := func(lines int) *Log {
		var text bytes.Buffer
		if err := loggen.Write(&text, loggen.Options{Lines: lines, Peers: 20, Days: 2}); err != nil {
			t.Fatal(err)
		}
		l, err := Read(t.Context(), []maillog.Source{{Name: "-", Stream: &text}},
			maillog.Options{Now: time.Date(2026, time.September, 3, 0, 0, 0, 0, time.UTC), Location: time.UTC})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	few, many := read(60_000), read(300_000)
	if many.Stats().Lines < 5*60_000 || many.cells.count != few.cells.count || len(many.cells.clients) != 20 {
		t.Errorf("%d cells of %d clients after %d lines, %d after %d", many.cells.count, len(many.cells.clients), many.Stats().Lines, few.cells.count, few.Stats().Lines)
	}
}

// A client of whom nothing counted leaves a number that nobody has.
func TestNumberOfNobody(t *testing.T) {
	clients, kinds := few()
	cs := newCells()
	cs.of(key{client: cs.client(clients[3]), kind: cs.kind(kinds[3]), day: 100}, 0)
	who, all := identify(&cs, 2)
	if len(who) != 4 || who[0].ok || !who[3].ok || who[3].worker < 0 || all.of[who[3].Address] != who[3].address {
		t.Errorf("%+v", who)
	}
}
