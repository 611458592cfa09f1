package store

import (
	"errors"
	"slices"
	"testing"

	"tlsratchet/tlsstate"
)

// What was pending when the iteration began may be committed before its batch
// is read, or after.
func TestPendingIsWovenIn(t *testing.T) {
	at := func(days int, peers ...int) (all []entry) {
		for _, i := range peers {
			all = append(all, entry{id: peer(i), h: seen(days)})
		}
		return all
	}
	tests := []struct {
		name                string
		pending, disk, want []entry
	}{
		{"nothing", nil, nil, nil},
		{"disk alone", nil, at(1, 1, 2), at(1, 1, 2)},
		{"pending alone", at(1, 1, 2), nil, at(1, 1, 2)},
		{"before, between and after", at(1, 1, 3, 5), at(1, 2, 4), at(1, 1, 2, 3, 4, 5)},
		{"to be deleted", []entry{{id: peer(1)}, {id: peer(2)}}, at(1, 2, 3), at(1, 3)},
		{"read before the commit", at(5, 2), at(1, 1, 2, 3), slices.Concat(at(1, 1), at(5, 2), at(1, 3))},
		{"read after a later commit", at(2, 2), at(5, 2), at(5, 2)},
	}
	for _, tt := range tests {
		if got := woven(tt.disk, tt.pending); !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n got %v\nwant %v", tt.name, got, tt.want)
		}
	}
}

// What is pending at the ends of batches comes once and in order, and a consumer
// that stops gets no more.
func TestAllOverBatches(t *testing.T) {
	d := newFakeDisk()
	f := startFake(t, d, Options{ReadTimeout: patience})
	defer mustClose(t, f)
	const n = 3*scanBatch + 7
	for i := range n {
		if i%3 != 0 {
			d.kept[peer(i)] = seen(1)
		}
	}
	d.set(func() { d.full = errors.New("no space left") })
	for i := range n {
		if i%3 == 0 {
			mustMerge(t, f, peer(i), seen(2))
		}
	}
	for _, most := range []int{1, scanBatch, n} {
		var got []tlsstate.Identity
		all, failed := f.All(tlsstate.Identity{})
		for id := range all {
			if got = append(got, id); len(got) == most {
				break
			}
		}
		if err := failed(); err != nil || len(got) != most || !slices.IsSortedFunc(got, compare) {
			t.Errorf("%d of %d, %v", len(got), most, err)
		}
	}
	d.set(func() { d.full = nil })
}

// Batches end on keys, and go on from there.
func TestScanGoesOnWhereItEnded(t *testing.T) {
	d, _, err := openBolt(fill(t, 100), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.close() }()
	for _, n := range []int{1, 7, 99, 100, 101} {
		var got []tlsstate.Identity
		for key := []byte{0}; key != nil; {
			b, err := d.scan(key, n)
			if err != nil || len(b.found) > n {
				t.Fatalf("by %d: %d found, %v", n, len(b.found), err)
			}
			for _, e := range b.found {
				got = append(got, e.id)
			}
			key = b.next
		}
		if len(got) != 100 || !slices.IsSortedFunc(got, compare) {
			t.Errorf("by %d: %d identities", n, len(got))
		}
	}
}
