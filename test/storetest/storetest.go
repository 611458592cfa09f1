// Package storetest is the contract of a store of histories: what package
// ratchet relies on, whatever keeps them.
package storetest

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// Store is what is held to the contract.
type Store = store.Store

// Today is the day on which the contract is tested.
const Today tlsstate.Day = 20_000

// Run holds a store to the contract. open returns an empty store with room for
// a thousand histories; Run closes it.
func Run(t *testing.T, open func(t testing.TB) Store) {
	clauses := []struct {
		name string
		test func(*testing.T, Store)
	}{
		{"an unknown peer has the zero history", unknown},
		{"an update grows a history and is seen at once", grows},
		{"an update that changes nothing writes nothing", steady},
		{"each change is counted, and nothing else", counts},
		{"a grow that shrinks takes nothing away", shrinks},
		{"concurrent updates lose nothing", concurrent},
		{"a merge joins in any order", merges},
		{"a larger epoch wins", epochs},
		{"every field of every kind comes back", fields},
		{"nothing comes from the future", future},
		{"nothing impossible is kept", impossible},
		{"a network brings 64 newcomers of a kind a day", quotas},
		{"all come in order", ordered},
		{"a consumer may stop and may write", consumer},
		{"a closed store says so", closed},
	}
	for _, c := range clauses {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			defer func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}()
			c.test(t, s)
		})
	}
	t.Run("it equals a map", func(t *testing.T) { model(t, open) })
}

func unknown(t *testing.T, s Store) {
	for _, id := range []tlsstate.Identity{address(1), {Kind: tlsstate.Domain, Name: "example.com"}} {
		if h, err := s.Load(id); err != nil || h != (tlsstate.History{}) {
			t.Errorf("Load(%s) = %+v, %v", id, h, err)
		}
	}
	if s.Len() != 0 || s.Newest() != 0 {
		t.Errorf("an empty store: %d histories, the newest day %s", s.Len(), s.Newest())
	}
}

func grows(t *testing.T, s Store) {
	var want tlsstate.History
	for day := Today - 9; day <= Today; day++ {
		want = Sees(want, day, tlsstate.TLS12)
		if got, err := s.Update(address(1), netip.Addr{}, day, seeing(day, tlsstate.TLS12)); err != nil || got != want {
			t.Fatalf("Update on %s = %+v, %v, want %+v", day, got, err, want)
		}
		loads(t, s, address(1), want)
	}
	loads(t, s, address(2), tlsstate.History{})
	if s.Len() != 1 || s.Newest() != Today {
		t.Errorf("%d histories, the newest day %s", s.Len(), s.Newest())
	}
}

func steady(t *testing.T, s Store) {
	update(t, s, address(1), seeing(Today, tlsstate.TLS13))
	flush(t, s)
	before := s.Stats()
	for range 100 {
		update(t, s, address(1), seeing(Today, tlsstate.TLS13))
		update(t, s, address(2), func(h tlsstate.History) tlsstate.History { return h })
	}
	flush(t, s)
	after := s.Stats()
	if after.Writes != before.Writes || after.Commits != before.Commits || after.Pending != 0 {
		t.Errorf("a steady peer was written: before %+v, after %+v", before, after)
	}
	if before.Writes != 1 || s.Len() != 1 {
		t.Errorf("%d writes, %d histories, want 1 of each", before.Writes, s.Len())
	}
}

// counts: while the count is the same, so is what is known.
func counts(t *testing.T, s Store) {
	var last uint64
	for _, tt := range []struct {
		name    string
		do      func()
		changes bool
	}{
		{"a newcomer", func() { update(t, s, address(1), seeing(Today, tlsstate.TLS13)) }, true},
		{"the same again", func() { update(t, s, address(1), seeing(Today, tlsstate.TLS13)) }, false},
		{"a read", func() { loads(t, s, address(2), tlsstate.History{}) }, false},
		{"what was learned is written", func() { flush(t, s) }, false},
		{"another day", func() { update(t, s, address(1), seeing(Today-1, tlsstate.TLS13)) }, true},
		{"an operator's act", func() { update(t, s, address(1), func(h tlsstate.History) tlsstate.History { return h.Unpin(Today) }) }, true},
	} {
		tt.do()
		if now := s.Changes(); (now != last) != tt.changes {
			t.Errorf("%s: %d changes, %d before", tt.name, now, last)
		} else {
			last = now
		}
	}
}

// shrinks: whatever grow returns is joined with what is there.
func shrinks(t *testing.T, s Store) {
	want := update(t, s, address(1), func(tlsstate.History) tlsstate.History { return pinned() })
	less := func(tlsstate.History) tlsstate.History { return tlsstate.History{} }
	other := func(tlsstate.History) tlsstate.History { return Sees(tlsstate.History{}, Today, tlsstate.Plaintext) }
	for _, grow := range []func(tlsstate.History) tlsstate.History{less, other} {
		want = tlsstate.Merge(want, grow(want))
		if got := update(t, s, address(1), grow); got != want {
			t.Errorf("Update = %+v, want %+v", got, want)
		}
		loads(t, s, address(1), want)
		if got, err := s.Update(address(1), netip.MustParseAddr("192.0.2.1"), Today, less); err != nil || got != want {
			t.Errorf("Update by a session = %+v, %v, want %+v", got, err, want)
		}
		flush(t, s)
		loads(t, s, address(1), want)
	}
	if s.Len() != 1 {
		t.Errorf("%d histories, want 1", s.Len())
	}
}

func concurrent(t *testing.T, s Store) {
	const days, workers = 60, 4
	var want tlsstate.History
	for day := Today - days; day < Today; day++ {
		want = Sees(want, day, tlsstate.TLS12)
	}
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w; i < days; i += workers {
				day := Today - days + tlsstate.Day(i)
				if _, err := s.Update(address(1), netip.Addr{}, Today, seeing(day, tlsstate.TLS12)); err != nil {
					t.Errorf("Update: %v", err)
				}
				_, _ = s.Update(address(2+i), netip.Addr{}, Today, seeing(day, tlsstate.Plaintext))
			}
		})
	}
	all.Wait()
	got, err := s.Load(address(1))
	if err != nil || got.Seen != want.Seen || got.First != want.First || got.Last != want.Last {
		t.Errorf("after concurrent updates:\n got %+v, %v\nwant %+v", got, err, want)
	}
	if s.Len() != days+1 {
		t.Errorf("%d histories, want %d", s.Len(), days+1)
	}
}

func merges(t *testing.T, s Store) {
	var parts []tlsstate.History
	var want tlsstate.History
	for i, l := range []tlsstate.Level{tlsstate.TLS13, tlsstate.Plaintext, tlsstate.TLS12, tlsstate.Weak} {
		h := Sees(tlsstate.History{}, Today-tlsstate.Day(i*5), l)
		parts, want = append(parts, h), tlsstate.Merge(want, h)
	}
	for n, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 1, 3, 0, 2, 2}} {
		for _, i := range order {
			if _, err := s.Update(address(n), netip.Addr{}, Today, merging(parts[i])); err != nil {
				t.Fatalf("Merge: %v", err)
			}
		}
		loads(t, s, address(n), want)
	}
}

func epochs(t *testing.T, s Store) {
	old := pinned()
	merge(t, s, address(1), old)
	merge(t, s, address(2), old)
	forgotten := update(t, s, address(1), func(h tlsstate.History) tlsstate.History { return h.Forget(Today) })
	unpinned := update(t, s, address(2), func(h tlsstate.History) tlsstate.History { return h.Unpin(Today) })
	flush(t, s)
	merge(t, s, address(1), old) // a replica that was away
	merge(t, s, address(2), old)
	loads(t, s, address(1), forgotten)
	loads(t, s, address(2), unpinned)
	if !forgotten.Tombstone() || s.Len() != 2 {
		t.Errorf("the tombstone is %+v, %d histories", forgotten, s.Len())
	}
}

func fields(t *testing.T, s Store) {
	for id, h := range Full() {
		if err := h.Valid(); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		merge(t, s, id, h)
	}
	flush(t, s)
	for id, h := range Full() {
		loads(t, s, id, h)
	}
	if s.Len() != len(Full()) {
		t.Errorf("%d histories, want %d", s.Len(), len(Full()))
	}
}

func ordered(t *testing.T, s Store) {
	var want []tlsstate.Identity
	for i := range 700 { // more than one batch of any store's
		id := address(i * 7919 % 700)
		id.Kind = tlsstate.Kind(1 + i%4)
		want = append(want, id)
		update(t, s, id, seeing(Today-tlsstate.Day(i%3), tlsstate.TLS12))
		if i == 350 {
			flush(t, s) // half of them stay pending
		}
	}
	slices.SortFunc(want, func(a, b tlsstate.Identity) int {
		return slices.Compare([]byte{byte(a.Kind)}, []byte{byte(b.Kind)})*2 + slices.Compare([]byte(a.Name), []byte(b.Name))
	})
	for _, from := range []int{0, 1, 349, 699} {
		if got := collect(t, s, want[from]); !slices.Equal(got, want[from:]) {
			t.Errorf("from %s: %d identities, want %d", want[from], len(got), len(want)-from)
		}
	}
	if got := collect(t, s, tlsstate.Identity{}); !slices.Equal(got, want) {
		t.Errorf("from the beginning: %d identities, want %d", len(got), len(want))
	}
}

func consumer(t *testing.T, s Store) {
	for i := range 20 {
		update(t, s, address(i), seeing(Today, tlsstate.TLS12))
	}
	seq, failed := s.All(tlsstate.Identity{})
	n := 0
	for id := range seq {
		if n++; n == 10 {
			break
		}
		update(t, s, id, seeing(Today-1, tlsstate.TLS12))
		flush(t, s) // would hang on a transaction left open
	}
	if err := failed(); n != 10 || err != nil {
		t.Errorf("stopped after %d: %v", n, err)
	}
	if got := collect(t, s, tlsstate.Identity{}); len(got) != 20 {
		t.Errorf("%d identities, want 20", len(got))
	}
}

func closed(t *testing.T, s Store) {
	update(t, s, address(1), seeing(Today, tlsstate.TLS12))
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	if _, err := s.Load(address(1)); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Load: %v", err)
	}
	if _, err := s.Update(address(2), netip.Addr{}, Today, merging(pinned())); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Merge: %v", err)
	}
	if err := s.Flush(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Flush: %v", err)
	}
}

func address(i int) tlsstate.Identity {
	return tlsstate.Identity{Kind: tlsstate.Address, Name: fmt.Sprintf("192.0.%d.%d", i>>8, i&255)}
}
