package store

import (
	"net/netip"
	"sync/atomic"
	"testing"

	"tlsratchet/tlsstate"
)

// pagedDisk counts what is done to it outside of Paging.
type pagedDisk struct {
	*fakeDisk
	within, outside atomic.Int32
}

func (d *pagedDisk) paging(work func()) {
	d.within.Add(1)
	defer d.within.Add(-1)
	work()
}

func (d *pagedDisk) look() {
	if d.within.Load() == 0 {
		d.outside.Add(1)
	}
}

func (d *pagedDisk) get(id tlsstate.Identity) (tlsstate.History, error) {
	d.look()
	return d.fakeDisk.get(id)
}

func (d *pagedDisk) put(group []entry) error {
	d.look()
	return d.fakeDisk.put(group)
}

func (d *pagedDisk) scan(key []byte, n int) (batch, error) {
	d.look()
	return d.fakeDisk.scan(key, n)
}

// TestPaging: whatever may wait for a page of the file is done by Options.Paging.
func TestPaging(t *testing.T) {
	d := &pagedDisk{fakeDisk: newFakeDisk()}
	f := startFake(t, d, Options{Paging: d.paging})
	if _, err := f.Update(peer(1), netip.Addr{}, today, merging(seen(6))); err != nil {
		t.Fatal(err)
	}
	mustFlush(t, f)
	all, failed := f.All(tlsstate.Identity{})
	for range all {
	}
	if err := failed(); err != nil {
		t.Error(err)
	}
	mustMerge(t, f, peer(2), seen(6))
	mustClose(t, f)
	if got := d.tried(); len(got) != 2 || d.outside.Load() > 0 {
		t.Errorf("%d groups, %d operations outside", len(got), d.outside.Load())
	}
}
