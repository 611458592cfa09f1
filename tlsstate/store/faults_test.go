package store

import (
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tlsratchet/tlsstate"
)

// faulty is a disk with a fault in front of it: what a put meets, if anything.
// It is the seam for all that a disk can do to a store; the kernel's own faults
// (a file that may not grow, one that is cut short) are in process_test.go.
type faulty struct {
	disk
	fault atomic.Pointer[func(put func([]entry) error, group []entry) error]
}

func (d *faulty) put(group []entry) error {
	if fault := d.fault.Load(); fault != nil {
		return (*fault)(d.disk.put, group)
	}
	return d.disk.put(group)
}

// faults are what may happen to a group: it fails, comes in part, is slow.
var faults = map[string]func(put func([]entry) error, group []entry) error{
	"EIO":    func(func([]entry) error, []entry) error { return syscall.EIO },
	"ENOSPC": func(func([]entry) error, []entry) error { return syscall.ENOSPC },
	"EROFS":  func(func([]entry) error, []entry) error { return syscall.EROFS },
	"EACCES": func(func([]entry) error, []entry) error { return syscall.EACCES },
	"short write": func(put func([]entry) error, group []entry) error {
		return errors.Join(put(group[:len(group)/2]), syscall.ENOSPC)
	},
	"slow fsync": func(put func([]entry) error, group []entry) error {
		time.Sleep(20 * time.Second)
		return put(group)
	},
	"slow, then EIO": func(put func([]entry) error, group []entry) error {
		time.Sleep(20 * time.Second)
		return syscall.EIO
	},
}

// Whatever the disk does: nobody waits for it, what was learned is known, it is
// logged once, and all is written when it is over.
func TestFaultsOfTheDisk(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log lines
				fake := newFakeDisk()
				d := &faulty{disk: fake}
				d.fault.Store(&fault)
				f := startFake(t, d, Options{CacheSize: 16, Logger: log.logger()})
				began := time.Now()
				for i := range 3000 {
					mustMerge(t, f, peer(i), seen(6))
					if i%500 == 0 {
						synctest.Wait()
					}
				}
				for i := range 3000 {
					if h, err := f.Load(peer(i)); err != nil || h != seen(6) {
						t.Fatalf("Load(%s) = %+v, %v", peer(i), h, err)
					}
				}
				if waited := time.Since(began); waited != 0 {
					t.Errorf("somebody waited for %s", waited)
				}
				time.Sleep(time.Minute)
				d.fault.Store(nil)
				time.Sleep(time.Minute)
				synctest.Wait()
				if s := f.Stats(); s.Pending != 0 || s.Dropped != 0 || len(fake.kept) != 3000 {
					t.Errorf("when it was over: %+v, %d kept", s, len(fake.kept))
				}
				fails := name != "slow fsync"
				if n := len(log.with("can't be written")); (n == 1) != fails || len(log.with("written again")) != n {
					t.Errorf("logged %d times", n)
				}
				mustClose(t, f)
			})
		})
	}
}

// The same on a real file: what failed leaves no trace in it.
func TestFaultsOverARealFile(t *testing.T) {
	path := fill(t, 500)
	real, found, err := openBolt(path, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &faulty{disk: real}
	f, err := start(path, Options{ReadTimeout: patience}.withDefaults(), d, found, rescue{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[tlsstate.Identity]tlsstate.History{}
	for round, name := range []string{"EIO", "ENOSPC", "short write"} {
		fault := faults[name]
		d.fault.Store(&fault)
		for i := range 400 { // some known, some new
			id := peer(300*(round+1) + i)
			h, err := f.Update(id, netip.Addr{}, today, merging(seen(10+round)))
			if err != nil {
				t.Fatal(err)
			}
			want[id] = h
		}
		if err := f.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: Flush: %v", name, err)
		}
		if _, err := f.prune(); err == nil {
			t.Errorf("%s: pruned while nothing can be written", name)
		}
		d.fault.Store(nil)
		mustFlush(t, f)
	}
	mustClose(t, f)
	again := mustOpen(t, path, Options{})
	for id, h := range want {
		if got, err := again.Load(id); err != nil || got != h {
			t.Fatalf("%s: %+v, %v, want %+v", id, got, err, h)
		}
	}
}
