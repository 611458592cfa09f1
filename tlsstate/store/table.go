package store

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"tlsratchet/tlsstate"
)

// table is the part of a [File] that is in memory: a cache of what is on the
// disk, and the changes that are not there yet. The cache may forget anything
// at any time; what is pending is forgotten only once it was written. Where
// both know an identity they agree.
//
// One lock guards it all, held for about 100 ns by a hit.
type table struct {
	mu      sync.Mutex
	cache   *lru.TwoQueueCache[tlsstate.Identity, tlsstate.History]
	pending map[tlsstate.Identity]entry // what each is to become
	queue   queue                       // of what is pending
	quota   quota
	max     int // pending
	most    int // known: the cap, and some for the time that pruning takes
	closed  bool
	tally
}

// tally is what is counted of a table.
type tally struct {
	stats Stats
	// changes counts swaps: a reader of the disk compares it to find out
	// whether what it read may be out of date.
	changes uint64
	known   int // identities with a history, pending ones too
	newest  tlsstate.Day
}

// now returns the tally of this moment.
func (t *table) now() tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Pending = len(t.pending)
	return t.tally
}

// waiting is how many changes wait to be written.
func (t *table) waiting() int { return t.now().stats.Pending }

// crowded reports whether there are more identities than a limit.
func (t *table) crowded(limit int) bool { return t.now().known > limit }

// full reports whether newcomers are turned away.
func (t *table) full() bool { return t.crowded(t.most - 1) }

// count changes what is counted.
func (t *table) count(change func(*Stats)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.stats)
}

func newTable(opts Options) (*table, error) {
	cache, err := lru.New2Q[tlsstate.Identity, tlsstate.History](opts.CacheSize)
	if err != nil {
		return nil, err
	}
	return &table{
		cache:   cache,
		pending: make(map[tlsstate.Identity]entry),
		max:     opts.MaxPending,
		most:    opts.MaxIdentities + opts.MaxIdentities/10,
	}, nil
}

// get returns the history of id if it is in memory, and the count of changes
// for a later fill or swap if it isn't.
func (t *table) get(id tlsstate.Identity) (h tlsstate.History, at uint64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return h, t.changes, false
	}
	if h, ok = t.cache.Get(id); !ok {
		var e entry
		e, ok = t.pending[id]
		h = e.h
	}
	if ok {
		t.stats.Hits++
	} else {
		t.stats.Misses++
	}
	return h, t.changes, ok
}

// peek is get for the table's own use: without counting.
func (t *table) peek(id tlsstate.Identity) (tlsstate.History, bool) {
	if e, ok := t.pending[id]; ok {
		return e.h, true
	}
	return t.cache.Peek(id)
}

// fill caches what was read from the disk, unless something changed since at.
// It returns what is known now.
func (t *table) fill(id tlsstate.Identity, h tlsstate.History, at uint64) tlsstate.History {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now, ok := t.peek(id); ok {
		return now
	}
	if t.changes == at {
		t.cache.Add(id.Clone(), h)
	}
	return h
}

// outcome is how a swap ended.
type outcome uint8

const (
	swapped outcome = iota
	stale           // it has changed meanwhile: read it again
	dropped         // there was no room
	refused         // there was no room for newcomers of its network
	closed
)

// swap makes next the history of id if old still is. at is the count of
// changes that came with old, by is who brings it. It also returns how many
// changes are pending.
func (t *table) swap(id tlsstate.Identity, old, next tlsstate.History, at uint64, by source) (outcome, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, ok := t.peek(id)
	newcomer := by.newcomer(id, &old)
	switch {
	case t.closed:
		return closed, 0
	case ok && now != old, !ok && t.changes != at:
		return stale, 0
	case !t.room(id, &next), newcomer && t.known >= t.most:
		t.stats.Dropped++
		return dropped, 0
	case newcomer && !t.quota.admits(&by, id.Kind):
		t.stats.Refused++
		return refused, 0
	}
	id, next = id.Clone(), cloneText(next)
	t.changes++
	before, waits := t.pending[id]
	t.pending[id] = entry{id, next, cmp.Or(before.from, by.from)}
	if !waits || pressing(&next) && !pressing(&before.h) {
		t.queue.push(id, &next, t.changes)
	}
	t.cache.Add(id, next)
	t.newest = max(t.newest, next.Newest())
	if old == (tlsstate.History{}) {
		t.known++
	}
	return swapped, len(t.pending)
}

// room reports whether a change may wait in memory: a stranger's only while
// there is room, a pinned identity's always.
func (t *table) room(id tlsstate.Identity, h *tlsstate.History) bool {
	n := len(t.pending)
	if n < t.max {
		return true
	}
	if _, ok := t.pending[id]; ok {
		return true
	}
	return pinned(h) || (n < 2*t.max && !stranger(h))
}

// cloneText is [tlsstate.Identity.Clone] for the name in a history.
func cloneText(h tlsstate.History) tlsstate.History {
	h.Name.Text = strings.Clone(h.Name.Text)
	return h
}

// group takes up to n pending changes, the most pressing and the oldest first.
// They stay pending until they were written, or failed. It returns them in the
// order of their keys.
func (t *table) group(n int) []entry {
	t.mu.Lock()
	group := make([]entry, 0, min(n, len(t.pending)))
	for len(group) < n {
		id, ok := t.queue.pop()
		if !ok {
			break
		}
		if e, ok := t.pending[id]; ok {
			group = append(group, e)
		}
	}
	t.mu.Unlock()
	slices.SortFunc(group, byIdentity)
	return slices.CompactFunc(group, func(a, b entry) bool { return a.id == b.id })
}

// written forgets the changes of a group, but not those that changed again.
func (t *table) written(group []entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Commits++
	t.stats.Writes += uint64(len(group))
	for i := range group {
		id := group[i].id
		switch e, ok := t.pending[id]; {
		case ok && e.h == group[i].h:
			delete(t.pending, id)
		case ok:
			t.queue.push(id, &e.h, t.changes)
		}
	}
}

// failed gives back a group that wasn't written.
func (t *table) failed(group []entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.FailedCommits++
	t.queue.giveBack(group)
}

// due reports whether changes up to the mark wait for a group.
func (t *table) due(mark uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.queue.holds(mark)
}

// remove makes histories that were read from the disk forgotten, but not those
// that changed since. It returns how many.
func (t *table) remove(found []entry) (removed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return 0
	}
	t.changes++
	for i := range found {
		e := &found[i]
		cached, ok := t.cache.Peek(e.id)
		if _, pending := t.pending[e.id]; pending || (ok && cached != e.h) {
			continue
		}
		t.cache.Remove(e.id)
		t.pending[e.id] = entry{id: e.id} // for the writer to delete
		t.queue.push(e.id, &tlsstate.History{}, t.changes)
		removed++
	}
	t.known -= removed
	t.stats.Pruned += uint64(removed)
	return removed
}

// pendingFrom returns what is pending from start on, in order.
func (t *table) pendingFrom(start tlsstate.Identity) []entry {
	t.mu.Lock()
	var found []entry
	for id, e := range t.pending {
		if compare(id, start) >= 0 {
			found = append(found, e)
		}
	}
	t.mu.Unlock()
	slices.SortFunc(found, byIdentity)
	return found
}

// pendingOf returns what is pending for one identity, or nothing.
func (t *table) pendingOf(id tlsstate.Identity) tlsstate.History {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pending[id].h
}

func (t *table) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
}
