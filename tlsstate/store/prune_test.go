package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tlsratchet/tlsstate"
)

// host is an address identity in the network n of an operator.
func host(operator, n, i int) tlsstate.Identity {
	return tlsstate.Identity{Kind: tlsstate.Address, Name: fmt.Sprintf("10.%d.%d.%d", operator, n, i)}
}

// seenUntil is the history of a peer that used TLS on the n days up to last.
func seenUntil(last tlsstate.Day, n int) (h tlsstate.History) {
	for i := n - 1; i >= 0; i-- {
		h = session(h, last-tlsstate.Day(i), tlsstate.TLS12)
	}
	return h
}

// weighed returns the plan for some entries.
func weighed(all []entry, need int) *pruning {
	p := newPruning(today, 628)
	for i := range all {
		p.weigh(&all[i])
	}
	p.plan(need)
	return p
}

// remaining returns how many of each operator stay: strangers, and others.
func remaining(p *pruning, all []entry) (kept [2]map[network]int, gone [2]int) {
	kept = [2]map[network]int{{}, {}}
	for i := range all {
		class := 1
		if stranger(&all[i].h) {
			class = 0
		}
		if p.goes(&all[i]) {
			gone[class]++
		} else {
			n, _ := p.rank(&all[i])
			kept[class][n]++
		}
	}
	return kept, gone
}

// Whatever the file holds: as many go as must, strangers first, and then nobody
// goes below what the lightest operator that lost something still has.
func TestTheOrderOfPruning(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var all []entry
		for o := range rapid.IntRange(1, 8).Draw(rt, "operators") {
			for i := range rapid.IntRange(0, 60).Draw(rt, "identities") {
				days := rapid.SampledFrom([]int{1, 2, 3, 6, 40}).Draw(rt, "days")
				last := today - tlsstate.Day(rapid.IntRange(0, 300).Draw(rt, "ago"))
				all = append(all, entry{id: host(o, i%4, i), h: seenUntil(last, days)})
			}
		}
		need := rapid.IntRange(0, len(all)).Draw(rt, "need")
		before, _ := remaining(weighed(all, 0), all)
		kept, gone := remaining(weighed(all, need), all)
		total := gone[0] + gone[1]
		if total < need || total > need+2*8 {
			rt.Fatalf("%d gone, want %d or a few more", total, need)
		}
		if left := len(kept[0]); gone[1] > 0 && left > 0 {
			rt.Fatalf("others go while strangers of %d operators stay", left)
		}
		for class := range kept {
			for n, had := range before[class] {
				if kept[class][n] == had {
					continue
				}
				most := slices.Max(append(slices.Collect(maps.Values(kept[class])), 0))
				if kept[class][n] < most-1 {
					rt.Fatalf("%s lost down to %d, another still has %d", n, kept[class][n], most)
				}
			}
		}
	})
}

func TestWithinAnOperatorOldStrangersAndYoungPinsGo(t *testing.T) {
	var all []entry
	for i, h := range []tlsstate.History{
		seenUntil(today-400, 1), // 0: a stranger of long ago
		seenUntil(today-1, 1),   // 1: a stranger of yesterday
		seenUntil(today, 1),     // 2: a stranger of today
		seenUntil(today, 2),     // 3: two days
		seenUntil(today, 4),     // 4: four days
		seenUntil(today-300, 2), // 5: two days of long ago, without a pin
		seenUntil(today, 5),     // 6: pinned today
		seenUntil(today, 60),    // 7: pinned for long
	} {
		all = append(all, entry{id: host(1, 1, i), h: h})
	}
	for need := range len(all) + 1 {
		p := weighed(all, need)
		for i := range slices.Backward(all) { // not by the order in which they come
			if got := p.goes(&all[i]); got != (i < need) {
				t.Errorf("of %d that must go, %d: %v", need, i, got)
			}
		}
	}
}

func TestWhatIsNeverWeighed(t *testing.T) {
	all := []entry{
		{id: host(1, 1, 1), h: seen(9).Unpin(today)},
		{id: host(1, 1, 2), h: seen(9).Forget(today)},
		{id: tlsstate.Identity{Kind: tlsstate.Listener, Name: "10.1.1.3:25"}, h: seen(9), from: 4<<familyBits | 7},
		{id: tlsstate.Identity{Kind: tlsstate.Domain, Name: "imported.example"}, h: seen(9)},
	}
	p := weighed(all, 100)
	for i := range all {
		if p.goes(&all[i]) {
			t.Errorf("%s goes", all[i].id)
		}
	}
}

func TestAgeing(t *testing.T) {
	tests := []struct {
		name string
		h    tlsstate.History
		goes bool
	}{
		{"a pin that may come back", seenUntil(today-628, 9), false},
		{"a pin of long ago", seenUntil(today-629, 9), true},
		{"a stranger", seenUntil(today-400, 1), false},
		{"a tombstone", seen(9).Forget(today - 360), false},
		{"an old tombstone", seen(9).Forget(today - 361), true},
		{"unpinned a year ago", seenUntil(today-700, 9).Unpin(today - 361), false},
		{"unpinned long ago", seenUntil(today-900, 9).Unpin(today - 629), true},
	}
	f := mustOpen(t, newPath(t), Options{})
	mustMerge(t, f, peer(99), seen(1)) // the newest
	for i, tt := range tests {
		mustMerge(t, f, peer(i), tt.h)
	}
	mustFlush(t, f)
	if _, err := f.prune(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // while it is pending, and then
		for i, tt := range tests {
			h, err := f.Load(peer(i))
			if gone := h == (tlsstate.History{}); gone != tt.goes || err != nil {
				t.Errorf("%s: gone %v, %v", tt.name, gone, err)
			}
		}
		if n := f.Stats().Pruned; n != 3 || f.Len() != 5 || count(f) != 5 {
			t.Errorf("%d pruned, %d left, %d listed", n, f.Len(), count(f))
		}
		mustFlush(t, f)
	}
	if _, err := f.prune(); err != nil || f.Stats().Pruned != 3 {
		t.Errorf("again: %v, %d pruned", err, f.Stats().Pruned)
	}
}

// For how long identities are kept may change while the file is in use, but not
// below a tombstone's time.
func TestKeepDaysMayChange(t *testing.T) {
	keep := 1000
	f := mustOpen(t, newPath(t), Options{KeepDays: func() int { return keep }})
	for i, ago := range []tlsstate.Day{0, 0, 0, 300, 629, 900} {
		mustMerge(t, f, peer(i), seenUntil(today-ago, 2))
	}
	for _, step := range []struct{ keep, left int }{{1000, 6}, {628, 4}, {1, 4}} {
		keep = step.keep
		if _, err := f.prune(); err != nil || f.Len() != step.left {
			t.Errorf("of those of %d days %d are left, %v", step.keep, f.Len(), err)
		}
	}
}

// A clock that is years ahead makes nobody old, while it is and once it is right
// again.
func TestAClockAheadForgetsNobody(t *testing.T) {
	future := today + 5000
	for now, logged := range map[tlsstate.Day]int{today: 0, future: 1} {
		synctest.Test(t, func(t *testing.T) {
			var log lines
			time.Sleep(time.Until(now.Time()))
			f := startFake(t, newFakeDisk(), Options{Logger: log.logger()})
			defer mustClose(t, f)
			for i := range 5 {
				mustMerge(t, f, peer(i), seen(3))
			}
			if _, err := f.Update(peer(9), netip.Addr{}, future, merging(session(tlsstate.History{}, future, tlsstate.TLS12))); err != nil {
				t.Fatal(err)
			}
			n, err := f.prune()
			if lines := log.with("is the clock right"); n != 0 || err != nil || f.Len() != 6 || len(lines) != logged {
				t.Errorf("%s: %d pruned, %v, logged %q", now, n, err, lines)
			}
		})
	}
}

func count(f *File) (n int) {
	seq, _ := f.All(tlsstate.Identity{})
	for range seq {
		n++
	}
	return n
}

// The cap holds while a flood comes, by itself, and nobody else's pins go.
func TestTheCapHolds(t *testing.T) {
	const limit = 2000
	var log lines
	path := newPath(t)
	f := mustOpen(t, path, Options{MaxIdentities: limit, CacheSize: 64, Logger: log.logger()})
	for i := range 500 {
		mustMerge(t, f, host(i%50, 1, i), seen(9))
	}
	for i := range 6000 { // one-day domains of many networks
		id := tlsstate.Identity{Kind: tlsstate.Domain, Name: fmt.Sprintf("flood%d.example", i)}
		client := netip.AddrFrom4([4]byte{20, byte(i), byte(i >> 8), 1})
		if _, err := f.Update(id, client, today, merging(seen(1))); err != nil {
			t.Fatal(err)
		}
	}
	settled(t, f, limit)
	for i := range 500 {
		if h, err := f.Load(host(i%50, 1, i)); err != nil || h != seen(9) {
			t.Fatalf("%s: %+v, %v", host(i%50, 1, i), h, err)
		}
	}
	if n := len(log.with("more identities than the cap")); n != 1 {
		t.Errorf("logged %d times", n)
	}
	n := f.Len()
	mustClose(t, f)
	if f = mustOpen(t, path, Options{}); f.Len() != n {
		t.Errorf("%d identities in the file, %d were counted", f.Len(), n)
	}
}

// settled waits until the chores are done.
func settled(t *testing.T, f *File, limit int) {
	t.Helper()
	for began := time.Now(); f.Len() > limit || f.Stats().Pending > 0; time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("%d identities, %+v", f.Len(), f.Stats())
		}
	}
}

// A flood that pins, of one operator: his own go, whoever was there stays, and
// the domains that were learned through his network are his too.
func TestAFloodThatPinsPushesOutItself(t *testing.T) {
	const limit = 1500
	f := mustOpen(t, newPath(t), Options{MaxIdentities: limit})
	for i := range 1000 {
		mustMerge(t, f, host(i%100, 1, i), seen(9))
	}
	for day := range tlsstate.Day(6) {
		for i := range 3000 {
			client := netip.AddrFrom16([16]byte{0x20, 0x01, 0xd, 0xb8, byte(i >> 6)})
			id := tlsstate.Identity{Kind: tlsstate.Domain, Name: fmt.Sprintf("f%d.example", i)}
			grow := func(h tlsstate.History) tlsstate.History { return session(h, today-5+day, tlsstate.TLS12) }
			if _, err := f.Update(id, client, today-5+day, grow); err != nil {
				t.Fatal(err)
			}
		}
		settled(t, f, limit)
	}
	for i := range 1000 {
		if h, err := f.Load(host(i%100, 1, i)); err != nil || h != seen(9) {
			t.Fatalf("%s: %+v, %v", host(i%100, 1, i), h, err)
		}
	}
}

// Who comes back while he is forgotten is new, and counted once.
func TestAPrunedPeerComesBack(t *testing.T) {
	f := mustOpen(t, fill(t, 10), Options{})
	all := []entry{{id: peer(1), h: seen(2)}, {id: peer(2), h: seen(3)}, {id: peer(3), h: seen(4)}}
	if _, err := f.Load(peer(2)); err != nil { // cached as it is
		t.Fatal(err)
	}
	mustMerge(t, f, peer(3), seen(9)) // changed since it was read
	if n := f.table.remove(all); n != 2 || f.table.waiting() != 3 {
		t.Errorf("%d removed, %d wait", n, f.table.waiting())
	}
	for i, want := range map[int]tlsstate.History{1: {}, 2: {}, 3: seen(9)} {
		if h, err := f.Load(peer(i)); err != nil || h != want {
			t.Errorf("%s: %+v, %v", peer(i), h, err)
		}
	}
	mustMerge(t, f, peer(1), seen(1))
	mustFlush(t, f)
	if h, err := f.Load(peer(1)); err != nil || h != seen(1) || f.Len() != 9 || count(f) != 9 {
		t.Errorf("%+v, %v; %d identities, %d listed", h, err, f.Len(), count(f))
	}
}

// What is imported has no quota and no hard cap; what a flood brings beyond the
// cap and a tenth waits for the pruning.
func TestTheHardCapIsForNewcomersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		stuck := make(chan struct{})
		f := startFake(t, d, Options{MaxIdentities: 100})
		for i := range 100 {
			mustMerge(t, f, peer(i), seen(1))
		}
		mustFlush(t, f)
		d.set(func() { d.stuck = stuck }) // no pruning now
		for i := range 30 {
			f.table.swap(peer(200+i), tlsstate.History{}, seen(1), f.table.changes, source{from: network(i + 1), today: today})
		}
		if n := f.Len(); n != 110 || f.Stats().Dropped != 20 {
			t.Errorf("%d identities, %+v", n, f.Stats())
		}
		mustMerge2(t, f, peer(300))
		if n := f.Len(); n != 111 {
			t.Errorf("%d identities after an import", n)
		}
		close(stuck)
		mustClose(t, f)
	})
}

func mustMerge2(t *testing.T, f *File, id tlsstate.Identity) {
	t.Helper()
	if how, _ := f.table.swap(id, tlsstate.History{}, seen(6), f.table.changes, source{today: today}); how != swapped {
		t.Errorf("outcome %d", how)
	}
}

// The chores end with the store, wherever they are.
func TestChoresEndWithTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		for i := range 5000 {
			d.kept[peer(i)] = seen(1)
		}
		f := startFake(t, d, Options{MaxIdentities: 100})
		f.table.mu.Lock()
		f.table.known, f.table.newest = 5000, today
		f.table.mu.Unlock()
		f.crowd()
		mustClose(t, f)
		if _, err := f.prune(); !errors.Is(err, ErrClosed) {
			t.Errorf("pruning a closed store: %v", err)
		}
	})
}

func TestTheNetworkThatCameFirstStays(t *testing.T) {
	path := newPath(t)
	f := mustOpen(t, path, Options{})
	id := tlsstate.Identity{Kind: tlsstate.Domain, Name: "example.com"}
	learn := func(addr string, days int) {
		t.Helper()
		if _, err := f.Update(id, netip.MustParseAddr(addr), today, merging(seen(days))); err != nil {
			t.Fatal(err)
		}
		mustFlush(t, f)
	}
	mustMerge(t, f, id, seen(1)) // imported: from nowhere
	mustFlush(t, f)
	learn("192.0.2.1", 2)
	learn("198.51.100.1", 3)
	b, err := f.scan([]byte{0}, 10)
	if err != nil || len(b.found) != 1 || b.found[0].network().String() != "192.0.2.0/24" {
		t.Errorf("%+v, %v", b, err)
	}
	for name, want := range map[string]string{"2001:db8:1:2::/64": "2001:db8:1::/48", "192.0.2.1": "192.0.2.0/24", "what?": "none"} {
		e := entry{id: tlsstate.Identity{Kind: tlsstate.Address, Name: name}, from: 5}
		if got := e.network().String(); got != want {
			t.Errorf("%s is in %s, want %s", name, got, want)
		}
	}
}

// What is too old does not count against the cap; over it, a tenth more goes, and
// what goes is written by itself.
func TestHowManyArePruned(t *testing.T) {
	const limit = 100
	tests := []struct {
		name                          string
		aged, strangers, pinned, want int
	}{
		{"at the cap", 0, 0, limit, 0},
		{"over it with what is too old", 20, 40, 60, 20},
		{"one over it", 0, 0, limit + 1, 11},
		{"as many too old as strangers over it", 11, limit + 1, 0, 22},
		{"as many strangers as others", 0, 6, limit + 2 - 6, 12},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(today.Time()))
			d := newFakeDisk()
			f := startFake(t, d, Options{MaxIdentities: 10 * limit})
			for i := range tt.aged + tt.strangers + tt.pinned {
				h := seen(6)
				switch {
				case i < tt.aged:
					h = seenUntil(today-700, 6)
				case i < tt.aged+tt.strangers:
					h = seen(1)
				}
				mustMerge(t, f, peer(i), h)
			}
			mustFlush(t, f)
			f.opts.MaxIdentities = limit
			all := len(d.kept)
			if n, err := f.prune(); n != tt.want || err != nil || f.Len() != all-tt.want {
				t.Errorf("%s: %d pruned, %v, %d left; want %d pruned", tt.name, n, err, f.Len(), tt.want)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if n := len(d.kept); n != all-tt.want {
				t.Errorf("%s: %d are on the disk", tt.name, n)
			}
			mustClose(t, f)
		})
	}
}

// A failure to prune is logged once, and again after pruning worked meanwhile.
func TestPruningThatFailsIsLoggedOnce(t *testing.T) {
	var log lines
	d := newFakeDisk()
	f := startFake(t, d, Options{Logger: log.logger()})
	for want := 1; want <= 2; want++ {
		mustMerge(t, f, peer(want), seen(1))
		d.set(func() { d.full = errors.New("no space left") })
		for range 3 {
			_, _ = f.pruneAndLog()
		}
		if n := len(log.with("pruning the history file failed")); n != want {
			t.Errorf("logged %d times, want %d", n, want)
		}
		d.set(func() { d.full = nil })
		if _, err := f.pruneAndLog(); err != nil {
			t.Error(err)
		}
	}
	mustClose(t, f)
}

// buggy is a log that panics at some lines.
type buggy struct{ slog.Handler }

func (h buggy) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "pruning:") {
		panic("a bug")
	}
	return h.Handler.Handle(ctx, r)
}

// A bug in the chores is an error, and ends no process.
func TestAPanicInTheChores(t *testing.T) {
	var log lines
	f := startFake(t, newFakeDisk(), Options{Logger: slog.New(buggy{log.logger().Handler()})})
	mustMerge(t, f, peer(1), seenUntil(today-700, 3))
	mustMerge(t, f, peer(2), seen(3))
	f.lookAfter()
	if all := log.with("pruning the history file failed"); len(all) != 1 || !strings.Contains(all[0], "a bug") {
		t.Errorf("logged: %q", log.with("level="))
	}
	mustClose(t, f)
}
