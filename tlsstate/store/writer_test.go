package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tlsratchet/tlsstate"
)

func TestChangesAreWrittenWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		f := startFake(t, d, Options{})
		for i := range 10 {
			mustMerge(t, f, peer(i), seen(1))
			time.Sleep(40 * time.Millisecond)
		}
		if n := len(d.tried()); n != 0 {
			t.Errorf("%d groups at once", n)
		}
		time.Sleep(commitDelay / 5)
		synctest.Wait()
		if got := d.tried(); len(got) != 1 || got[0] != 10 {
			t.Errorf("after a second: groups %v, want one of 10", got)
		}
		if s := f.Stats(); s.Pending != 0 || s.Writes != 10 || s.Commits != 1 {
			t.Errorf("%+v", s)
		}
		mustMerge(t, f, peer(99), seen(1)) // the clock starts again
		time.Sleep(time.Second)
		synctest.Wait()
		if got := d.tried(); len(got) != 2 {
			t.Errorf("groups %v, want two", got)
		}
		mustClose(t, f)
	})
}

// slowDisk takes its time for each group.
type slowDisk struct {
	*fakeDisk
	takes time.Duration
}

func (d slowDisk) put(group []entry) error {
	time.Sleep(d.takes)
	return d.fakeDisk.put(group)
}

func TestChangesGatherDuringACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := slowDisk{newFakeDisk(), commitDelay * 4 / 5}
		f := startFake(t, d, Options{})
		mustMerge(t, f, peer(1), seen(6))
		time.Sleep(commitDelay + time.Millisecond) // its commit has begun
		mustMerge(t, f, peer(2), seen(6))
		time.Sleep(commitDelay + d.takes - 2*time.Millisecond)
		if got := d.tried(); len(got) != 1 {
			t.Errorf("groups %v, want the first alone", got)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if got := d.tried(); len(got) != 2 {
			t.Errorf("groups %v: the second waits longer than to gather and to be written", got)
		}
		mustClose(t, f)
	})
}

func TestManyChangesGoInGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		f := startFake(t, d, Options{})
		for i := range 2*groupSize + 500 {
			mustMerge(t, f, peer(i), seen(1))
		}
		synctest.Wait()
		if f.Stats().Commits == 0 {
			t.Error("a whole group waits")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := d.largest(); n > groupSize || len(d.kept) != 2*groupSize+500 {
			t.Errorf("a group of %d, %d written", n, len(d.kept))
		}
		commits := f.Stats().Commits
		for i := range groupSize {
			mustMerge(t, f, peer(i), seen(2))
		}
		if synctest.Wait(); f.Stats().Commits == commits {
			t.Error("a whole group waits after others were written")
		}
		mustClose(t, f)
	})
}

func TestDiskTroubleIsLoggedOnceAndWhenItIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lines
		d := newFakeDisk()
		d.full = syscall.ENOSPC
		f := startFake(t, d, Options{Logger: log.logger(), CacheSize: 16})
		for i := range 100 {
			mustMerge(t, f, peer(i), seen(6))
		}
		time.Sleep(5 * time.Minute)
		if err := f.Flush(t.Context()); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Flush on a full disk: %v", err)
		}
		if n := len(d.tried()); n < 10 || n > 20 {
			t.Errorf("%d tries in 5 minutes, want a back-off from 1 to 30 s", n)
		}
		for i := range 100 { // memory holds what can't be written
			if h, err := f.Load(peer(i)); err != nil || h != seen(6) {
				t.Fatalf("Load(%s) = %+v, %v", peer(i), h, err)
			}
		}
		d.set(func() { d.full = nil })
		time.Sleep(maxBackoff)
		synctest.Wait()
		if s := f.Stats(); s.Pending != 0 || s.Writes != 100 || s.FailedCommits < 10 || s.FailedCommits > 20 || len(d.kept) != 100 {
			t.Errorf("once it is over: %+v, %d kept", s, len(d.kept))
		}
		began, over := log.with("can't be written"), log.with("written again")
		if len(began) != 1 || len(over) != 1 || !strings.Contains(began[0], "no space left") || !strings.Contains(over[0], " after=5m") {
			t.Errorf("logged: %q, %q", began, over)
		}
		mustClose(t, f)
	})
}

// A file that is no longer at its path is logged once, and once when it is back:
// within a minute, though nothing is written. What is remembered goes to a snapshot.
func TestAFileThatIsDeletedWhileInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lines
		path := newPath(t)
		f := mustOpen(t, path, Options{Logger: log.logger()})
		mustMerge(t, f, peer(1), seen(2))
		mustFlush(t, f)
		time.Sleep(choresFirst + 30*time.Second) // between two turns of the chores
		for i, change := range []func() error{
			func() error { return os.Rename(path, path+".moved") },
			func() error { return os.WriteFile(path, nil, 0o600) },
			func() error { return os.Rename(path+".moved", path) },
		} {
			if err := change(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(placeEvery + time.Second)
			synctest.Wait()
			gone, back := len(log.with("level=ERROR")), len(log.with("in its place again"))
			if gone != 1 || back != i/2 || (back == 0) != strings.Contains(f.Stats().Trouble, "was deleted or replaced") {
				t.Errorf("step %d: logged %q, %q", i, log.with("level="), f.Stats().Trouble)
			}
			if held, n := holds(t, snapshots(path)[0]).records, f.Stats().Snapshots; held != 1 || n != 2 {
				t.Errorf("step %d: the snapshot, after %d, holds %d", i, n, held)
			}
		}
		mustClose(t, f)
	})
}

// What is learned until the end goes on after a restart.
func TestARestartAfterTheFileWasDeleted(t *testing.T) {
	for name, after := range map[string]func(path string) error{
		"deleted":  os.Remove,
		"replaced": func(path string) error { return os.Rename(fill(t, 5), path) },
	} {
		path := fill(t, 3)
		f := mustOpen(t, path, Options{})
		if err := after(path); err != nil {
			t.Fatal(err)
		}
		mustMerge(t, f, peer(77), seen(6))
		mustClose(t, f)
		if held := holds(t, snapshots(path)[0]).records; held != 4 {
			t.Errorf("%s: the snapshot holds %d", name, held)
		}
		want := map[string]int{"deleted": 4, "replaced": 5}[name]
		if f = mustRecover(t, path, Options{}); f.Len() != want {
			t.Errorf("%s: then %d are known, want %d", name, f.Len(), want)
		}
		mustClose(t, f)
	}
}

func TestCloseReportsWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		d.full = syscall.EROFS
		f := startFake(t, d, Options{})
		mustMerge(t, f, peer(1), seen(1))
		for range 2 {
			if err := f.Close(); !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "1 changes are lost") {
				t.Errorf("Close: %v", err)
			}
		}
	})
}

// A flood of changes is no reason to try a full disk more often.
func TestTheBackOffIsKeptUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		d.full = syscall.ENOSPC
		f := startFake(t, d, Options{})
		for i := range 3 * groupSize {
			mustMerge(t, f, peer(i), seen(1))
			if i%100 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		if n := len(d.tried()); n != 1 {
			t.Errorf("%d tries before a second has passed", n)
		}
		d.set(func() { d.full = nil })
		mustClose(t, f)
		if len(d.kept) != 3*groupSize {
			t.Errorf("%d written", len(d.kept))
		}
	})
}

// When writing fails for long, strangers go first, then the others, and pins
// never.
func TestPendingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		d.full = syscall.ENOSPC
		f := startFake(t, d, Options{MaxPending: 50, CacheSize: 16})
		add := func(from, n, days int) int {
			before := f.Stats().Pending
			for i := range n {
				mustMerge(t, f, peer(from+i), seen(days))
			}
			return f.Stats().Pending - before
		}
		steps := []struct {
			who                 string
			from, n, days, want int
		}{
			{"strangers", 0, 80, 1, 50},
			{"peers of two days", 100, 80, 2, 50},
			{"pinned peers", 200, 80, 6, 80},
			{"strangers again", 300, 10, 1, 0},
			{"those who wait already", 0, 50, 3, 0},
		}
		for _, s := range steps {
			if got := add(s.from, s.n, s.days); got != s.want {
				t.Errorf("%s: %d wait, want %d", s.who, got, s.want)
			}
		}
		if s := f.Stats(); s.Dropped != 30+30+10 || f.Len() != 180 {
			t.Errorf("%+v, %d histories", s, f.Len())
		}
		if h, err := f.Load(peer(305)); err != nil || h != (tlsstate.History{}) {
			t.Errorf("what was dropped is remembered by the cache alone: %+v, %v", h, err)
		}
		d.set(func() { d.full = nil })
		mustFlush(t, f)
		if got := add(300, 10, 1); got != 10 {
			t.Errorf("once it is over, %d of 10 are made again", got)
		}
		mustClose(t, f)
		if len(d.kept) != 190 {
			t.Errorf("%d written, want 190", len(d.kept))
		}
	})
}

func TestAStuckDiskCostsNoMoreThanItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		stuck := make(chan struct{})
		d.stuck = stuck
		f := startFake(t, d, Options{})
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				began := time.Now()
				if _, err := f.Update(peer(i), netip.Addr{}, today, merging(seen(1))); !errors.Is(err, ErrTimeout) {
					t.Errorf("Update: %v", err)
				}
				if d := time.Since(began); d != 100*time.Millisecond {
					t.Errorf("it took %s", d)
				}
			})
		}
		all.Wait()
		if n := d.reads(); n != readers {
			t.Errorf("%d reads at once, want %d", n, readers)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		comesBack(t, f, stuck)
		if err := f.Flush(ctx); err != nil {
			t.Errorf("Flush: %v", err)
		}
		mustClose(t, f)
	})
}

// comesBack frees the disk and sees the store come back.
func comesBack(t *testing.T, f *File, stuck chan struct{}) {
	close(stuck)
	synctest.Wait()
	mustMerge(t, f, peer(1), seen(1))
	if h, err := f.Load(peer(2)); err != nil || h != (tlsstate.History{}) {
		t.Errorf("after the disk came back: %+v, %v", h, err)
	}
}

func TestCloseAndFlushDoNotHangOnAStuckDisk(t *testing.T) {
	for read, longest := range map[time.Duration]time.Duration{time.Second: closeTimeout, time.Minute: time.Minute} {
		synctest.Test(t, func(t *testing.T) { doesNotHang(t, read, longest) })
	}
}

func doesNotHang(t *testing.T, read, longest time.Duration) {
	d := newFakeDisk()
	f := startFake(t, d, Options{ReadTimeout: read})
	mustMerge(t, f, peer(1), seen(1))
	stuck := make(chan struct{})
	d.set(func() { d.stuck = stuck })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for range 2 { // while the writer takes it, and while it is busy
		if err := f.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush: %v", err)
		}
	}
	began := time.Now()
	if err := f.Close(); !errors.Is(err, ErrTimeout) || time.Since(began) != longest {
		t.Errorf("Close after %s: %v", time.Since(began), err)
	}
	close(stuck)
	mustClose(t, f) // it ends well after all
	if d.kept[peer(1)] != seen(1) {
		t.Error("what was pending is lost")
	}
}

// closable is a disk that can't be closed well, and knows whether it was closed
// under a reader.
type closable struct {
	*fakeDisk
	reading atomic.Int64
	under   int64
}

func (d *closable) get(id tlsstate.Identity) (tlsstate.History, error) {
	d.reading.Add(1)
	defer d.reading.Add(-1)
	return d.fakeDisk.get(id)
}

func (d *closable) close() error {
	d.under = d.reading.Load()
	return syscall.EIO
}

// The disk is closed after its last reader, and what is wrong then is an error.
func TestTheDiskIsClosedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &closable{fakeDisk: newFakeDisk()}
		stuck := make(chan struct{})
		d.stuck = stuck
		f := startFake(t, d, Options{})
		go func() { _, _ = f.Load(peer(1)) }()
		synctest.Wait()
		ended := make(chan error)
		go func() { ended <- f.Close() }()
		synctest.Wait()
		close(stuck)
		if err := <-ended; !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "closing history file") {
			t.Errorf("Close: %v", err)
		}
		if d.under != 0 {
			t.Errorf("closed under %d readers", d.under)
		}
	})
}

// A slow read must not put an old history in the place of a newer one.
func TestASlowReadDoesNotUndoAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		stuck := make(chan struct{})
		d.stuck = stuck
		f := startFake(t, d, Options{})
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				day := today - tlsstate.Day(i)
				_, err := f.Update(peer(1), netip.Addr{}, today, func(h tlsstate.History) tlsstate.History {
					return session(h, day, tlsstate.TLS12)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // all four have read nothing yet
		close(stuck)
		all.Wait()
		want := tlsstate.Merge(seen(4), tlsstate.History{})
		if h, err := f.Load(peer(1)); err != nil || h.Seen != want.Seen || f.Len() != 1 {
			t.Errorf("Load = %+v, %v, want %+v; %d histories", h, err, want, f.Len())
		}
		mustClose(t, f)
	})
}

func TestDamageIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lines
		d := newFakeDisk()
		d.bad[peer(1)], d.bad[peer(2)] = tlsstate.ErrDamaged, ErrDamaged
		f := startFake(t, d, Options{Logger: log.logger()})
		if h, err := f.Load(peer(1)); err != nil || h != (tlsstate.History{}) {
			t.Errorf("a damaged record: %+v, %v, want a new peer", h, err)
		}
		for range 3 {
			if _, err := f.Load(peer(2)); !errors.Is(err, ErrDamaged) {
				t.Errorf("a damaged page: %v", err)
			}
		}
		if n := len(log.with("damaged data")); n != 1 || f.Stats().Damaged != 4 {
			t.Errorf("logged %d times, counted %d", n, f.Stats().Damaged)
		}
		mustClose(t, f)
	})
}

// All that was accepted is on the disk in the end, whatever failed meanwhile.
func TestNothingIsLostOverRandomTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		f := startFake(t, d, Options{CacheSize: 16})
		want := map[tlsstate.Identity]tlsstate.History{}
		rnd := rand.New(rand.NewPCG(1, 2))
		for range 3000 {
			id, days := peer(rnd.IntN(200)), 1+rnd.IntN(9)
			mustMerge(t, f, id, seen(days))
			want[id] = tlsstate.Merge(want[id], seen(days))
			if rnd.IntN(20) == 0 {
				d.set(func() { d.full = [...]error{nil, syscall.EIO}[rnd.IntN(2)] })
				time.Sleep(time.Duration(rnd.IntN(3000)) * time.Millisecond)
			}
		}
		d.set(func() { d.full = nil })
		mustClose(t, f)
		for id, h := range want {
			if d.kept[id] != h {
				t.Errorf("%s: kept %+v, want %+v", id, d.kept[id], h)
			}
		}
	})
}

// Flush writes all that was pending when it was called, however much comes in
// meanwhile.
func TestFlushUnderLoad(t *testing.T) {
	f := mustOpen(t, newPath(t), Options{CacheSize: 16})
	stop := make(chan struct{})
	var all sync.WaitGroup
	for w := range 2 {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					_, _ = f.Update(peer(1000+w*20_000+i%20_000), netip.Addr{}, today, merging(seen(1+i/20_000%9)))
				}
			}
		})
	}
	for i := range 40 {
		mustMerge(t, f, peer(i), seen(1))
		mustFlush(t, f)
		if h, err := f.disk.get(peer(i)); err != nil || h != seen(1) {
			t.Errorf("%s after Flush: %+v, %v", peer(i), h, err)
		}
	}
	close(stop)
	all.Wait()
}
