package store

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"tlsratchet/tlsstate"
)

// Memory keeps histories until the process ends: for trials, and for replaying
// a log. It is safe for concurrent use.
//
// It is bounded, and forgets the least recently used. A quarter of it is for
// strangers (peers of one day without a pin), so that a flood of them pushes out
// only other strangers. A flood that lasts for days can push out more: keep
// what matters in a [File].
type Memory struct {
	mu        sync.Mutex
	strangers *simplelru.LRU[tlsstate.Identity, tlsstate.History]
	others    *simplelru.LRU[tlsstate.Identity, tlsstate.History]
	newest    tlsstate.Day
	quota     quota
	stats     Stats
	closed    bool
}

// NewMemory returns an empty store for about size histories, 0 for 100,000, at
// about 300 bytes each.
func NewMemory(size int) *Memory {
	size = max(cmp.Or(size, 100_000), 4)
	m := &Memory{}
	// The errors are for sizes that are not positive.
	m.strangers, _ = simplelru.NewLRU[tlsstate.Identity, tlsstate.History](size/4, nil)
	m.others, _ = simplelru.NewLRU[tlsstate.Identity, tlsstate.History](size-size/4, nil)
	return m
}

// Load is as [File.Load]; it never waits.
func (m *Memory) Load(id tlsstate.Identity) (tlsstate.History, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.load(id)
}

func (m *Memory) load(id tlsstate.Identity) (tlsstate.History, error) {
	if m.closed {
		return tlsstate.History{}, ErrClosed
	}
	if err := checkIdentity(id); err != nil {
		return tlsstate.History{}, err
	}
	h, ok := m.others.Get(id)
	if !ok {
		h, ok = m.strangers.Get(id)
	}
	if ok {
		m.stats.Hits++
	} else {
		m.stats.Misses++
	}
	return h, nil
}

// Update is as [File.Update]; it never waits.
func (m *Memory) Update(id tlsstate.Identity, client netip.Addr, today tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	by := sourceOf(client, today)
	m.mu.Lock()
	defer m.mu.Unlock()
	cur, err := m.load(id)
	if err != nil {
		return cur, err
	}
	next, err := grown(cur, by.today, grow)
	switch {
	case err != nil:
		m.stats.refused(err)
		return cur, fmt.Errorf("%s: %w", id, err)
	case next == cur:
	case by.newcomer(id, &cur) && !m.quota.admits(&by, id.Kind):
		m.stats.Refused++
	default:
		m.put(id, next)
		return next, nil
	}
	return cur, nil
}

func (m *Memory) put(id tlsstate.Identity, h tlsstate.History) {
	m.stats.Writes++
	m.newest = max(m.newest, h.Newest())
	room := m.others
	if stranger(&h) {
		room = m.strangers
	} else {
		m.strangers.Remove(id)
	}
	if room.Add(id.Clone(), cloneText(h)) {
		m.stats.Dropped++
	}
}

// All is as [File.All]; it takes a copy first, and never ends early by itself.
func (m *Memory) All(start tlsstate.Identity) (iter.Seq2[tlsstate.Identity, tlsstate.History], func() error) {
	seq := func(yield func(tlsstate.Identity, tlsstate.History) bool) {
		var found []entry
		m.mu.Lock()
		for _, room := range []*simplelru.LRU[tlsstate.Identity, tlsstate.History]{m.others, m.strangers} {
			for _, id := range room.Keys() {
				if h, ok := room.Peek(id); ok && compare(id, start) >= 0 {
					found = append(found, entry{id: id, h: h})
				}
			}
		}
		m.mu.Unlock()
		slices.SortFunc(found, byIdentity)
		for _, e := range found {
			if !yield(e.id, e.h) {
				return
			}
		}
	}
	return seq, func() error { return nil }
}

// Newest returns the newest day that any history spoke of, 0 if there was none.
func (m *Memory) Newest() tlsstate.Day {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.newest
}

// Changes is as [File.Changes].
func (m *Memory) Changes() uint64 { return m.Stats().Writes }

// Len returns how many identities have a history, tombstones included.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.others.Len() + m.strangers.Len()
}

// Stats returns what was counted. Writes are changes, Dropped are histories
// pushed out; what has to do with a disk is 0.
func (m *Memory) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats
}

// Flush does nothing: there is nowhere to write to.
func (m *Memory) Flush(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	return nil
}

// Close ends the use of the store. What it held is gone.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.strangers.Purge()
	m.others.Purge()
	return nil
}
