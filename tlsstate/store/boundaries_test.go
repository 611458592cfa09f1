package store

import (
	"bytes"
	"errors"
	"hash/fnv"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"tlsratchet/tlsstate"
)

// A meta page is one of bbolt's, with its checksum and a page size that can be.
func TestMetaPages(t *testing.T) {
	tests := []struct {
		name  string
		alter func(b []byte)
		good  bool
	}{
		{"4096", func([]byte) {}, true},
		{"the smallest page", func(b []byte) { order.PutUint32(b[8:], 1024) }, true},
		{"the largest page", func(b []byte) { order.PutUint32(b[8:], 1<<24) }, true},
		{"a smaller one", func(b []byte) { order.PutUint32(b[8:], 512) }, false},
		{"a larger one", func(b []byte) { order.PutUint32(b[8:], 1<<25) }, false},
		{"no power of two", func(b []byte) { order.PutUint32(b[8:], 4097) }, false},
		{"another magic", func(b []byte) { b[0]++ }, false},
		{"another version", func(b []byte) { order.PutUint32(b[4:], boltVersion+1) }, false},
	}
	for _, tt := range tests {
		b := make([]byte, pageHead+metaLen)
		m := b[pageHead:]
		order.PutUint32(m, boltMagic)
		order.PutUint32(m[4:], boltVersion)
		order.PutUint32(m[8:], 4096)
		tt.alter(m)
		sum := fnv.New64a()
		_, _ = sum.Write(m[:56])
		order.PutUint64(m[56:], sum.Sum64())
		if _, good := readMeta(bytes.NewReader(b), 0); good != tt.good {
			t.Errorf("%s: %v", tt.name, good)
		}
		m[56]++
		if _, good := readMeta(bytes.NewReader(b), 0); good {
			t.Errorf("%s: a wrong checksum is good", tt.name)
		}
	}
}

// metaAt is a file with nothing in it but a meta page at an offset.
type metaAt struct {
	off  int64
	page []byte
}

func (m metaAt) ReadAt(b []byte, off int64) (int, error) {
	clear(b)
	if off >= m.off && off < m.off+int64(len(m.page)) {
		copy(b, m.page[off-m.off:])
	}
	return len(b), nil
}

// Where the first meta page is lost, the second is found, whatever the size of
// pages; what looks like one and states another size is none.
func TestTheSecondMetaPageAlone(t *testing.T) {
	page := func(size int64) []byte {
		b := make([]byte, pageHead+metaLen)
		m := b[pageHead:]
		order.PutUint32(m, boltMagic)
		order.PutUint32(m[4:], boltVersion)
		order.PutUint32(m[8:], uint32(size))
		sum := fnv.New64a()
		_, _ = sum.Write(m[:56])
		order.PutUint64(m[56:], sum.Sum64())
		return b
	}
	for size := int64(1024); size <= 1<<24; size *= 2 {
		m, both, err := newestMeta(metaAt{size, page(size)})
		if err != nil || both || int64(m.PageSize) != size {
			t.Errorf("pages of %d: %+v, both %v, %v", size, m, both, err)
		}
		if m, _, err := newestMeta(metaAt{size, page(2 * size)}); err == nil {
			t.Errorf("at %d: %+v", size, m)
		}
	}
}

// A tree that is too deep is damage, whatever is on the page.
func TestDepthIsBounded(t *testing.T) {
	file, err := os.Open(fill(t, 300))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	v, err := newVerifier(file, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.page(v.meta.Root, maxDepth); !errors.Is(err, ErrDamaged) {
		t.Errorf("too deep: %v", err)
	}
	if _, err := v.page(v.meta.Root, maxDepth-1); err != nil {
		t.Errorf("the deepest: %v", err)
	}
}

// A process that waits for the file gets it when the other is done.
func TestTheLockIsWaitedFor(t *testing.T) {
	path := fill(t, 3)
	f := mustOpen(t, path, Options{})
	if _, err := Open(path, Options{LockTimeout: 1}); !errors.Is(err, ErrLocked) {
		t.Errorf("in use: %v", err)
	}
	time.AfterFunc(3*lockPause, func() { _ = f.Close() })
	mustClose(t, mustOpen(t, path, Options{LockTimeout: patience}))
}

// Once a day what is too old goes, whatever the cap.
func TestOldIdentitiesGoDaily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lines
		time.Sleep(time.Until((today + 1).Time()))
		d := newFakeDisk()
		f := startFake(t, d, Options{Logger: log.logger()})
		defer mustClose(t, f)
		mustMerge(t, f, peer(1), seenUntil(today-700, 3))
		mustMerge(t, f, peer(2), seen(3))
		mustFlush(t, f)
		f.lookAfter()
		if s := f.Stats(); s.Pruned != 1 || f.Len() != 1 {
			t.Errorf("%+v, %d are left", s, f.Len())
		}
		mustMerge(t, f, peer(3), seenUntil(today-700, 3))
		mustFlush(t, f)
		f.lookAfter()
		if s := f.Stats(); s.Pruned != 1 {
			t.Errorf("again on the same day: %+v", s)
		}
		if bad := log.with("level=ERROR"); bad != nil {
			t.Errorf("logged: %q", bad)
		}
		mustMerge(t, f, peer(4), session(seen(3), today+1, tlsstate.TLS12))
		d.set(func() { d.full = syscall.EIO })
		f.lookAfter()
		d.set(func() { d.full = nil })
		f.lookAfter()
		if s := f.Stats(); s.Pruned != 2 {
			t.Errorf("after it failed on the next day: %+v", s)
		}
	})
}

// Pruning doesn't run ahead of a writer that is stuck, and ends with the store.
func TestPruningWaitsForTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		d.stuck = make(chan struct{})
		f := startFake(t, d, Options{})
		for i := range choresAhead + 1 {
			id := host(i>>16, i>>8&255, i&255)
			f.table.swap(id, f.table.pendingOf(id), seen(6), f.table.now().changes, source{})
		}
		ended := make(chan error)
		go func() {
			_, err := f.drop(newPruning(today, 628), nil)
			ended <- err
		}()
		time.Sleep(10 * writerPause)
		synctest.Wait()
		select {
		case err := <-ended:
			t.Errorf("it went on: %v", err)
		default:
		}
		go func() { _ = f.Close() }()
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Errorf("it ended with %v", err)
		}
		close(d.stuck)
		<-f.done
	})
}

// The log says which of the two it is: age, or the cap.
func TestPruningIsLoggedByItsReason(t *testing.T) {
	for _, tt := range []struct {
		p    pruning
		text string
	}{
		{pruning{newest: today, aged: 1}, "not seen for long"},
		{pruning{newest: today, aged: 1, strangers: 2}, "more identities than the cap"},
		{pruning{newest: today, others: 2}, "more identities than the cap"},
		{pruning{newest: today, strangers: 1, others: 1}, "more identities than the cap"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log lines
			f := startFake(t, newFakeDisk(), Options{Logger: log.logger()})
			defer mustClose(t, f)
			f.logPruning(&tt.p)
			f.logPruning(&tt.p)
			if all := log.with(tt.text); len(all) != 1 {
				t.Errorf("%+v: %q", tt.p, all)
			}
		})
	}
}

// The format is one key, its value to the letter, and nothing beside it.
func TestFormat(t *testing.T) {
	for _, tt := range []struct {
		name       string
		flags      uint64
		key, value string
		want       error
	}{
		{"ours", 0, "format", string(formatText(Format)), nil},
		{"a bucket", 1, "format", string(formatText(Format)), ErrDamaged},
		{"another key", 0, "formau", string(formatText(Format)), ErrDamaged},
		{"something behind it", 0, "format", string(formatText(Format)) + " ", ErrDamaged},
		{"a wrong sum", 0, "format", "tlsratchet 1 00000000", ErrDamaged},
		{"no format", 0, "format", "", ErrDamaged},
		{"a newer one", 0, "format", string(formatText(Format + 1)), ErrNewerVersion},
		{"an older one", 0, "format", string(formatText(Format - 1)), ErrDamaged},
	} {
		if err := checkFormat(tt.flags, []byte(tt.key), []byte(tt.value)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// A file that bbolt is no longer trusted with can be closed, without bbolt.
func TestABrokenFileIsClosed(t *testing.T) {
	path := fill(t, 3)
	d, _, err := openBolt(path, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	d.broken.Store(true)
	if err := d.close(); err != nil {
		t.Errorf("closing it: %v", err)
	}
	mustClose(t, mustOpen(t, path, Options{})) // the lock is released
	if err := d.close(); err == nil {
		t.Error("it was not closed the first time")
	}
}

// A file that is over the cap when it is opened is pruned without a newcomer.
func TestACrowdedFileIsPruned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		for i := range 500 {
			d.kept[peer(i)] = seen(1)
		}
		f, err := start("histories", Options{MaxIdentities: 100, SnapshotEvery: -1}.withDefaults(), d, census{records: 500, newest: today}, rescue{})
		if err != nil {
			t.Fatal(err)
		}
		defer mustClose(t, f)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := f.Len(); n > 100 {
			t.Errorf("%d are left", n)
		}
	})
}

// What was read before it was pruned is out of date after.
func TestAReadDuringPruning(t *testing.T) {
	tab := smallTable(t)
	_, at, _ := tab.get(peer(1))
	if n := tab.remove([]entry{{id: peer(1), h: seen(3)}}); n != 1 {
		t.Fatalf("%d removed", n)
	}
	tab.written(tab.group(10))
	tab.fill(peer(1), seen(3), at)
	if h, ok := tab.peek(peer(1)); ok {
		t.Errorf("the cache took %+v", h)
	}
}

// A store that is over the cap by what can't be pruned tries again later and later.
func TestRelievingIsNotTriedAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		f := startFake(t, d, Options{MaxIdentities: 100})
		for i := range 200 {
			h := seen(3)
			h.Epoch = 1 // an operator's act is never weighed
			d.kept[peer(i)] = h
		}
		f.table.mu.Lock()
		f.table.known, f.table.newest = 200, today
		f.table.mu.Unlock()
		for _, want := range []time.Duration{1, 2, 4} {
			began := time.Now()
			f.relieve()
			if took := time.Since(began); took != want*time.Second {
				t.Errorf("it paused for %s, want %d s", took, want)
			}
		}
		if n := len(d.kept); n != 200 {
			t.Errorf("%d are left", n)
		}
		for i := range 150 { // once some can go, the pauses begin again
			d.kept[peer(i)] = seen(1)
		}
		relieved := func(want time.Duration) {
			t.Helper()
			began := time.Now()
			if f.relieve(); time.Since(began) != want {
				t.Errorf("it paused for %s, want %s", time.Since(began), want)
			}
		}
		relieved(0)
		f.table.mu.Lock()
		f.table.known = 200 // as if newcomers had come that can't be pruned
		f.table.mu.Unlock()
		mustFlush(t, f)
		clear(d.kept)
		relieved(time.Second)
		mustClose(t, f)
	})
}

// A meta page that counts more pages than there are, or fewer than there must be.
func TestPagesOfTheMeta(t *testing.T) {
	for _, pages := range []uint64{0, 3, 1 << 60, 1 << 63} {
		c := craft(t)
		for at := range 2 {
			m := c.b[at*c.size+pageHead:]
			order.PutUint64(m[40:], pages)
			sum := fnv.New64a()
			_, _ = sum.Write(m[:56])
			order.PutUint64(m[56:], sum.Sum64())
		}
		if _, err := newVerifier(bytes.NewReader(c.b), int64(len(c.b))); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d pages: %v", pages, err)
		}
	}
}

// A file that ends with the last of its pages is whole.
func TestAFileOfItsPagesAlone(t *testing.T) {
	c := craft(t)
	if _, err := newVerifier(bytes.NewReader(c.b), int64(c.meta.Pages)*int64(c.meta.PageSize)); err != nil {
		t.Error(err)
	}
}

// A history that never held anything is opened again.
func TestAnEmptyHistoryIsOpenedAgain(t *testing.T) {
	path := newPath(t)
	for range 2 {
		mustClose(t, mustOpen(t, path, Options{}))
	}
	if f := mustOpen(t, path, Options{}); f.Len() != 0 || f.Stats().Damaged != 0 {
		t.Errorf("%d known, %+v", f.Len(), f.Stats())
	}
}

// A fault in one read leaves the file in use: bbolt ended that transaction.
func TestAFaultInOneRead(t *testing.T) {
	d, _, err := openBolt(fill(t, 3), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.view(func(*bolt.Bucket) error { panic("a page that is none") }); !errors.Is(err, ErrDamaged) {
		t.Errorf("a panic: %v", err)
	}
	if h, err := d.get(peer(1)); err != nil || h != seen(2) || d.broken.Load() {
		t.Errorf("the next read: %+v, %v, broken %v", h, err, d.broken.Load())
	}
	if err := d.close(); err != nil {
		t.Error(err)
	}
	if _, err := d.get(peer(1)); err == nil || d.broken.Load() {
		t.Errorf("after it was closed: %v, broken %v", err, d.broken.Load())
	}
}
