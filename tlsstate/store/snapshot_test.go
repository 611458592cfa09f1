package store

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"tlsratchet/tlsstate"
)

// holds counts the records of a snapshot.
func holds(t *testing.T, name string) census {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	found, err := verify(f)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestTwoSnapshotsAreKept(t *testing.T) {
	path := newPath(t)
	f := mustOpen(t, path, Options{})
	for round := range 4 {
		mustMerge(t, f, peer(round), seen(6))
		mustFlush(t, f)
		if err := f.Snapshot(); err != nil {
			t.Fatal(err)
		}
		if found := holds(t, snapshots(path)[0]); found.records != round+1 || found.damaged != 0 {
			t.Errorf("round %d: the newest holds %+v", round, found)
		}
		if round > 0 {
			if found := holds(t, snapshots(path)[1]); found.records != round {
				t.Errorf("round %d: the older one holds %+v", round, found)
			}
		}
	}
	names := beside(t, path)
	if len(names) != 2 || f.Stats().Snapshots != 4 {
		t.Errorf("beside it %q, %+v", names, f.Stats())
	}
	if info, err := os.Stat(snapshots(path)[0]); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// Snapshots taken while all is in motion are whole.
func TestSnapshotsUnderLoad(t *testing.T) {
	path := fill(t, 3000)
	f := mustOpen(t, path, Options{CacheSize: 100})
	stop := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				mustMerge(t, f, peer(3000+i%9000), seen(1+i%9))
			}
		}
	})
	for range 5 {
		if err := f.Snapshot(); err != nil {
			t.Fatal(err)
		}
		if found := holds(t, snapshots(path)[0]); found.records < 3000 || found.damaged != 0 {
			t.Errorf("%+v", found)
		}
	}
	close(stop)
	all.Wait()
}

// Damage is never copied over a good snapshot.
func TestADamagedFileGivesNoSnapshot(t *testing.T) {
	path := withSnapshot(t, 300)
	alter(t, path, func(tx *bolt.Tx) error {
		return tx.Bucket(bucketHistories).Put(appendKey(nil, peer(7)), []byte("no record at all"))
	})
	f := mustOpen(t, path, Options{})
	if err := f.Snapshot(); !errors.Is(err, ErrDamaged) {
		t.Errorf("Snapshot: %v", err)
	}
	if names := beside(t, path); len(names) != 1 || holds(t, path+names[0]).records != 300 {
		t.Errorf("beside it: %q", names)
	}
}

// strayScan is a disk that finds a record which can't be read again, as memory
// that flips bits does.
type strayScan struct{ disk }

func (d strayScan) scan(key []byte, n int) (batch, error) {
	b, err := d.disk.scan(key, n)
	b.found = append(b.found, entry{id: peer(9999), h: tlsstate.History{First: today, Last: today - 1}})
	return b, err
}

// A copy that is no good never takes the place of a snapshot that is.
func TestACopyIsVerified(t *testing.T) {
	path := withSnapshot(t, 300)
	real, found, err := openBolt(path, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := start(path, Options{ReadTimeout: patience, SnapshotEvery: -1}.withDefaults(), strayScan{real}, found, rescue{})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, f)
	if err := f.Snapshot(); !errors.Is(err, ErrDamaged) {
		t.Errorf("Snapshot: %v", err)
	}
	if names := beside(t, path); len(names) != 1 || holds(t, path+names[0]).records != 300 || f.Stats().Snapshots != 0 {
		t.Errorf("beside it: %q, %+v", names, f.Stats())
	}
	if err := verifyCopy(path, 301); err != nil {
		t.Errorf("a whole copy: %v", err)
	}
	if err := verifyCopy(path, 302); !errors.Is(err, ErrDamaged) {
		t.Errorf("a copy that lacks a record: %v", err)
	}
	flipRecord(t, snapshots(path)[0], peer(7))
	if err := verifyCopy(snapshots(path)[0], 299); !errors.Is(err, ErrDamaged) {
		t.Errorf("a copy with a damaged record: %v", err)
	}
}

// Once nothing in the file is damaged any more, snapshots are taken again, also
// over what a killed process left.
func TestASnapshotAfterDamage(t *testing.T) {
	path := fill(t, 10)
	flipRecord(t, path, peer(7))
	f := mustOpen(t, path, Options{})
	mustMerge(t, f, peer(7), seen(2)) // over the damaged one
	mustFlush(t, f)
	ruin(t, path+".snapshot-new")
	if err := f.Snapshot(); err != nil || f.Stats().Damaged == 0 || holds(t, snapshots(path)[0]).records != 10 {
		t.Errorf("Snapshot: %v, %+v", err, f.Stats())
	}
}

// stuckScan is a disk that can't be gone through until it isn't stuck.
type stuckScan struct {
	disk
	stuck chan struct{}
}

func (d *stuckScan) scan(key []byte, n int) (batch, error) {
	<-d.stuck
	return d.disk.scan(key, n)
}

// A disk that is stuck, or a store that is closed, is an error, and leaves nothing
// behind.
func TestASnapshotGivesUp(t *testing.T) {
	path := fill(t, 3000)
	real, found, err := openBolt(path, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &stuckScan{disk: real, stuck: make(chan struct{})}
	f, err := start(path, Options{ReadTimeout: time.Millisecond, SnapshotEvery: -1}.withDefaults(), d, found, rescue{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Snapshot(); !errors.Is(err, ErrTimeout) {
		t.Errorf("while the disk is stuck: %v", err)
	}
	close(d.stuck)
	mustClose(t, f)
	if err := f.Snapshot(); err == nil {
		t.Error("of a closed store")
	}
	if names := beside(t, path); len(names) != 0 {
		t.Errorf("left behind: %q", names)
	}
}

// A snapshot has all that the file has: every history, and where it came from.
func TestASnapshotIsTheFile(t *testing.T) {
	path := newPath(t)
	f := mustOpen(t, path, Options{})
	for i := range 3*scanBatch + 7 {
		id := tlsstate.Identity{Kind: tlsstate.Domain, Name: fmt.Sprintf("p%d.example", i)}
		if _, err := f.Update(id, netip.AddrFrom4([4]byte{192, byte(i >> 4), byte(i), 1}), today, merging(seen(1+i%9))); err != nil {
			t.Fatal(err)
		}
	}
	mustFlush(t, f)
	if err := f.Snapshot(); err != nil {
		t.Fatal(err)
	}
	mustClose(t, f)
	all := func(name string) (all []entry) {
		d, _, err := openBolt(name, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = d.close() }()
		for found, err := range batches(d.scan, tlsstate.Identity{}) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, found...)
		}
		return all
	}
	if want := all(path); len(want) != 3*scanBatch+7 || !slices.Equal(all(snapshots(path)[0]), want) {
		t.Errorf("%d records, and not the same", len(want))
	}
	copied, err := os.Open(snapshots(path)[0])
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	m, _, err := newestMeta(copied)
	used := 0
	for _, e := range all(snapshots(path)[0]) {
		key := appendKey(nil, e.id)
		used += element + len(key) + len(appendValue(nil, key, e.h, e.from))
	}
	if size := int(m.Pages) * int(m.PageSize); err != nil || size > used*3/2 {
		t.Errorf("%d bytes for %d: its pages are half empty, %v", size, used, err)
	}
}

func TestWhenASnapshotIsDue(t *testing.T) {
	path := fill(t, 10)
	f := mustOpen(t, path, Options{})
	if !f.snapshotDue() {
		t.Error("there is none yet")
	}
	if err := f.Snapshot(); err != nil {
		t.Fatal(err)
	}
	for age, want := range map[time.Duration]bool{
		0: false, 23 * time.Hour: false, 25 * time.Hour: true, -10 * time.Minute: false, -48 * time.Hour: true,
	} {
		at := time.Now().Add(-age)
		if err := os.Chtimes(snapshots(path)[0], at, at); err != nil {
			t.Fatal(err)
		}
		if got := f.snapshotDue(); got != want {
			t.Errorf("one that is %s old: due %v", age, got)
		}
	}
	if never := mustOpen(t, fill(t, 10), Options{SnapshotEvery: -1}); never.snapshotDue() {
		t.Error("none are wanted")
	}
	empty := mustOpen(t, newPath(t), Options{})
	if empty.snapshotDue() {
		t.Error("of nothing")
	}
}

// The chores take one by themselves, and log trouble once and its end once.
func TestSnapshotsAreTakenAndLogged(t *testing.T) {
	path := fill(t, 10)
	var log lines
	f := mustOpen(t, path, Options{SnapshotEvery: time.Millisecond, Logger: log.logger()})
	wait := func(what string, until func() bool) {
		t.Helper()
		for began := time.Now(); !until(); time.Sleep(time.Millisecond) {
			if time.Since(began) > patience {
				t.Fatal(what)
			}
		}
	}
	wait("no snapshot is taken", func() bool { return f.Stats().Snapshots > 1 })
	if err := os.Remove(snapshots(path)[1]); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	f.snapshotting.Lock()
	_ = os.Remove(snapshots(path)[1])
	err := os.Mkdir(snapshots(path)[1], 0o700) // in its way
	f.snapshotting.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	wait("the failure isn't logged", func() bool { return len(log.with("no snapshot of the history file")) > 0 })
	f.snapshotting.Lock()
	remove(t, snapshots(path)[1])
	f.snapshotting.Unlock()
	wait("its end isn't logged", func() bool { return len(log.with("are taken again")) > 0 })
	taken := f.Stats().Snapshots
	wait("no more are taken", func() bool { return f.Stats().Snapshots > taken+1 })
	if again := log.with("are taken again"); len(again) != 1 {
		t.Errorf("its end is logged %d times", len(again))
	}
	mustClose(t, f)
	if lines := log.with("no snapshot of"); len(lines) != 1 || !strings.Contains(lines[0], "exists") && !strings.Contains(lines[0], "directory") {
		t.Errorf("logged: %q", lines)
	}
}

// A history that is read while a snapshot is taken and the file grows out of
// its mapping.
func TestReadingGoesOnDuringASnapshot(t *testing.T) {
	path := fill(t, 2000)
	f := mustOpen(t, path, Options{CacheSize: 16})
	var all sync.WaitGroup
	all.Go(func() {
		for range 3 {
			if err := f.Snapshot(); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range 4000 {
		if h, err := f.Load(peer(i % 2000)); err != nil || h == (tlsstate.History{}) {
			t.Fatalf("Load: %+v, %v", h, err)
		}
		if i%4 == 0 {
			mustMerge(t, f, peer(5000+i), seen(3))
		}
	}
	all.Wait()
}
