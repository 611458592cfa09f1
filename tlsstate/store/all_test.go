package store

import (
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
		{"read before the commit", at(5, 2), at(1, 1, 2, 3), slices.Concat(at(1, 1), at(5, 2), at(1, 3))},
		{"read after a later commit", at(2, 2), at(5, 2), at(5, 2)},
	}
	for _, tt := range tests {
		var got []entry
		w := walk{pending: tt.pending, yield: func(e entry) bool { got = append(got, e); return true }}
		for _, e := range tt.disk {
			w.to(e)
		}
		w.rest()
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n got %v\nwant %v", tt.name, got, tt.want)
		}
		for n := range len(got) { // whoever stops gets no more
			count := 0
			w := walk{pending: tt.pending, yield: func(entry) bool { count++; return count <= n }}
			more := true
			for _, e := range tt.disk {
				if more = more && w.to(e); !more {
					break
				}
			}
			if more {
				w.rest()
			}
			if count != n+1 {
				t.Errorf("%s: stopped at %d, got %d", tt.name, n+1, count)
			}
		}
	}
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
			found, next, err := d.scan(key, n)
			if err != nil || len(found) > n {
				t.Fatalf("by %d: %d found, %v", n, len(found), err)
			}
			for _, e := range found {
				got = append(got, e.id)
			}
			key = next
		}
		if len(got) != 100 || !slices.IsSortedFunc(got, compare) {
			t.Errorf("by %d: %d identities", n, len(got))
		}
	}
}
