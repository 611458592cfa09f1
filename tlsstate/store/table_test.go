package store

import (
	"slices"
	"strings"
	"testing"
	"unsafe"

	"tlsratchet/tlsstate"
)

func smallTable(t *testing.T) *table {
	t.Helper()
	tab, err := newTable(Options{CacheSize: 16, MaxPending: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// put swaps from what is in memory, or from nothing.
func put(t *testing.T, tab *table, id tlsstate.Identity, h tlsstate.History) {
	t.Helper()
	old, at, _ := tab.get(id)
	if how, _ := tab.swap(id, old, h, at, source{}); how != swapped {
		t.Fatalf("swap of %s: outcome %d", id, how)
	}
}

// pushOut commits all, and fills the cache with others.
func pushOut(t *testing.T, tab *table, id tlsstate.Identity) {
	t.Helper()
	tab.written(tab.group(1000))
	for i := range 1000 {
		if _, ok := tab.peek(id); !ok {
			return
		}
		put(t, tab, peer(1000+i), seen(1))
		tab.written(tab.group(1000))
	}
	t.Fatalf("%s stays in the cache", id)
}

// Between a read's start and its end the history may change, be committed and
// leave the cache: nothing in memory shows it but the count of changes.
func TestAReadThatIsOutOfDate(t *testing.T) {
	tab := smallTable(t)
	id := peer(1)
	old, at, ok := tab.get(id)
	if ok {
		t.Fatal("it is there already")
	}
	put(t, tab, id, seen(3))
	if got := tab.fill(id, old, at); got != seen(3) {
		t.Errorf("fill over a change in memory = %+v", got)
	}
	pushOut(t, tab, id)
	tab.fill(id, old, at)
	if h, ok := tab.peek(id); ok {
		t.Errorf("the cache took what is out of date: %+v", h)
	}
	if how, _ := tab.swap(id, old, seen(1), at, source{}); how != stale {
		t.Errorf("swap from what is out of date: outcome %d", how)
	}
	_, at, _ = tab.get(id)
	if tab.fill(id, seen(3), at); tab.pendingOf(id) != (tlsstate.History{}) {
		t.Error("what was read is pending")
	}
	if h, _, ok := tab.get(id); !ok || h != seen(3) {
		t.Errorf("what was read again: %+v, %v", h, ok)
	}
}

// Pruning goes by what it read from the disk. A change that is not there yet
// wins, whether the cache still has it or not.
func TestPruningLeavesAPendingChange(t *testing.T) {
	for _, cached := range []bool{true, false} {
		tab := smallTable(t)
		put(t, tab, peer(1), seen(1))
		tab.written(tab.group(10))
		put(t, tab, peer(1), seen(5))
		if !cached {
			tab.cache.Remove(peer(1))
		}
		if n := tab.remove([]entry{{id: peer(1), h: seen(1)}, {id: peer(2), h: seen(1)}}); n != 1 {
			t.Errorf("cached %v: %d removed, want the one without a change", cached, n)
		}
		if h := tab.pendingOf(peer(1)); h != seen(5) {
			t.Errorf("cached %v: the change is now %+v", cached, h)
		}
	}
}

// What changes while its group is written stays pending.
func TestAChangeDuringACommitStaysPending(t *testing.T) {
	tab := smallTable(t)
	put(t, tab, peer(1), seen(1))
	put(t, tab, peer(2), seen(1))
	group := tab.group(10)
	put(t, tab, peer(1), seen(2))
	tab.written(group)
	if left := tab.group(10); len(left) != 1 || left[0] != (entry{id: peer(1), h: seen(2)}) {
		t.Errorf("pending: %+v", left)
	}
	if tab.known != 2 || tab.newest != today {
		t.Errorf("%d known, the newest day %s", tab.known, tab.newest)
	}
}

func TestGroupsAreBoundedAndInOrder(t *testing.T) {
	tab := smallTable(t)
	for i := range 100 {
		put(t, tab, peer(i*37%100), seen(1))
	}
	seenAlready := map[tlsstate.Identity]bool{}
	for _, n := range []int{0, 1, 40, 100, 500} {
		group := tab.group(n)
		if want := min(n, 100-len(seenAlready)); len(group) != want {
			t.Errorf("a group of %d, want %d", len(group), want)
		}
		for i := range group {
			if i > 0 && byIdentity(group[i-1], group[i]) >= 0 {
				t.Fatalf("%s before %s", group[i-1].id, group[i].id)
			}
			if seenAlready[group[i].id] {
				t.Errorf("%s twice", group[i].id)
			}
			seenAlready[group[i].id] = true
		}
	}
}

// Those who are known by more than a day go first, then the oldest; a group
// that failed comes again, and so does what changed while it was written.
func TestTheOrderOfWriting(t *testing.T) {
	tab := smallTable(t)
	take := func(n int, want ...int) []entry {
		t.Helper()
		group := tab.group(n)
		ids := make([]tlsstate.Identity, len(group))
		for i := range group {
			ids[i] = group[i].id
		}
		wanted := make([]tlsstate.Identity, len(want))
		for i := range want {
			wanted[i] = peer(want[i])
		}
		if !slices.Equal(ids, wanted) {
			t.Errorf("took %v, want %v", ids, wanted)
		}
		return group
	}
	for i := range 6 {
		put(t, tab, peer(i), seen(1))
	}
	put(t, tab, peer(7), seen(2))
	put(t, tab, peer(4), seen(2)) // a stranger no more
	mark := tab.now().changes
	put(t, tab, peer(8), seen(1))
	tab.failed(take(3, 0, 4, 7))
	first := take(3, 0, 4, 7)
	put(t, tab, peer(0), seen(1).Unpin(today))
	tab.written(first)
	if !tab.due(mark) {
		t.Error("the strangers are forgotten")
	}
	tab.written(take(6, 0, 1, 2, 3, 5)) // 0 has two tickets; that of 4 as a stranger is void
	if tab.due(mark) {
		t.Error("what came later is due already")
	}
	tab.written(take(9, 8))
	if n := tab.waiting(); n != 0 || tab.due(tab.now().changes) {
		t.Errorf("%d are left", n)
	}
}

// A peer that changes often while nothing can be written waits once in each line.
func TestTheQueueIsBoundedByThePeers(t *testing.T) {
	tab := smallTable(t)
	for days := 1; days < 30; days++ {
		put(t, tab, peer(1), seen(days))
	}
	if n := len(tab.queue.pressing) + len(tab.queue.others); n != 2 {
		t.Errorf("%d tickets, want one as a stranger and one after it", n)
	}
}

// At the cap nothing is to be pruned; a tenth over it newcomers are turned away.
func TestTheCapExactly(t *testing.T) {
	tab := smallTable(t)
	tab.most = 110
	for known, want := range map[int][2]bool{100: {false, false}, 101: {true, false}, 109: {true, false}, 110: {true, true}} {
		if tab.known = known; tab.crowded(100) != want[0] || tab.full() != want[1] {
			t.Errorf("%d of 100: crowded %v, full %v", known, tab.crowded(100), tab.full())
		}
	}
}

// A name that was cut from a long text must not keep it in memory.
func TestShortNamesLetGoOfLongTexts(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	id := tlsstate.Identity{Kind: tlsstate.Domain, Name: long[:10]}
	h := seen(6)
	h.Name = tlsstate.OnlyName("bank.example")
	h.Name.Text = long[:10]
	within := func(s string) bool {
		p, from := uintptr(unsafe.Pointer(unsafe.StringData(s))), uintptr(unsafe.Pointer(unsafe.StringData(long)))
		return p >= from && p < from+uintptr(len(long))
	}
	tab, m := smallTable(t), NewMemory(10)
	tab.swap(id, tlsstate.History{}, h, 0, source{})
	m.put(id, h)
	waiting := tab.pendingFrom(tlsstate.Identity{})
	kept := append(tab.cache.Keys(), append(m.others.Keys(), waiting[0].id)...)
	for _, id := range kept {
		cached, _ := tab.cache.Peek(id)
		if within(id.Name) || within(cached.Name.Text) || within(tab.pendingOf(id).Name.Text) {
			t.Errorf("%q is a part of the long text", id.Name)
		}
	}
	other := tlsstate.Identity{Kind: tlsstate.Domain, Name: long[:11]}
	_, at, _ := tab.get(other)
	tab.fill(other, seen(1), at)
	for _, id := range tab.cache.Keys() {
		if within(id.Name) {
			t.Errorf("%q, which was read, is a part of the long text", id.Name)
		}
	}
	if len(kept) != 3 {
		t.Errorf("%d are kept", len(kept))
	}
}
