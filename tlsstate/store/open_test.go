package store

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"tlsratchet/tlsstate"
)

// What is opened and closed without a change is as it was.
func TestOpeningWritesNothing(t *testing.T) {
	path := fill(t, 10)
	before := read(t, path)
	mustClose(t, mustOpen(t, path, Options{}))
	mustClose(t, mustRecover(t, path, Options{}))
	if !bytes.Equal(read(t, path), before) {
		t.Error("it was written to")
	}
}

// A file without its format is of no version that anybody knows.
func TestAFileWithoutItsFormat(t *testing.T) {
	path := fill(t, 10)
	alter(t, path, func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Delete(keyFormat) })
	if _, err := Open(path, Options{}); !errors.Is(err, ErrDamaged) {
		t.Errorf("Open: %v", err)
	}
}

// A fault while bbolt opens the file, which bbolt then leaves open: the lock is
// released, for whoever recovers it.
func TestAFaultWhileOpening(t *testing.T) {
	path := fill(t, 300)
	d, _, err := openBolt(path, 0, func(f *os.File, found census, err error) (*os.File, census, error) {
		return f, found, errors.Join(err, f.Truncate(2*int64(os.Getpagesize()))) // after it was verified
	})
	if err == nil { // Linux can read what is cut off as zeros
		_, err = d.get(peer(1))
		err = errors.Join(err, d.close())
	}
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("opening it, or reading: %v", err)
	}
	f, err := lockFile(path, os.O_RDWR, 0o600, 0)
	if err != nil {
		t.Fatalf("the lock: %v", err)
	}
	_ = f.Close()
}

// Once bbolt failed in a write, it is not trusted with another.
func TestNothingIsWrittenAfterAPanic(t *testing.T) {
	d, _, err := openBolt(fill(t, 3), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.db.Update(func(tx *bolt.Tx) error { return tx.DeleteBucket(bucketHistories) }); err != nil {
		t.Fatal(err)
	}
	group := []entry{{id: peer(1), h: seen(1)}}
	for _, text := range []string{"no histories", "nothing is written until a restart"} {
		if err := d.put(group); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), text) {
			t.Errorf("put: %v, want …%s", err, text)
		}
	}
	if err := d.close(); err != nil {
		t.Error(err)
	}
}

// Damaged records found at the start are logged, with how many.
func TestDamageAtTheStartIsLogged(t *testing.T) {
	path := fill(t, 10)
	var log lines
	mustClose(t, mustOpen(t, path, Options{Logger: log.logger()}))
	if all := log.with("level="); len(all) != 0 {
		t.Errorf("an intact file: %q", all)
	}
	flipRecord(t, path, peer(7))
	f := mustOpen(t, path, Options{Logger: log.logger()})
	if all := log.with("level=ERROR"); len(all) != 1 || !strings.Contains(all[0], "damaged=1 intact=9") {
		t.Errorf("logged: %q", all)
	}
	if _, err := f.disk.scan([]byte{0}, 100); !errors.Is(err, tlsstate.ErrDamaged) || !strings.Contains(err.Error(), "1 of 10") {
		t.Errorf("going through it: %v", err)
	}
}

// Who waited for a file that was replaced meanwhile gets the new one, and holds
// no lock of the old one.
func TestTheFileIsReplacedWhileItIsWaitedFor(t *testing.T) {
	path, old := newPath(t), newPath(t)
	for _, name := range []string{path, old} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first, err := lockFile(path, os.O_RDWR, 0o600, 0)
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		f   *os.File
		err error
	}
	second := make(chan result)
	go func() {
		f, err := lockFile(path, os.O_RDWR, 0o600, patience)
		second <- result{f, err}
	}()
	time.Sleep(2 * lockPause) // it waits, or comes later and finds the new one at once
	remove(t, old)
	if err := errors.Join(os.Link(path, old), os.Remove(path), os.WriteFile(path, []byte("new"), 0o600), first.Close()); err != nil {
		t.Fatal(err)
	}
	got := <-second
	if got.err != nil || string(read(t, path)) != "new" {
		t.Fatal(got.err)
	}
	defer got.f.Close()
	if info, err := got.f.Stat(); err != nil || info.Size() != 3 {
		t.Errorf("it got the old file: %v", err)
	}
	f, err := lockFile(old, os.O_RDWR, 0o600, 0)
	if err != nil {
		t.Fatalf("the old file: %v", err)
	}
	_ = f.Close()
}

// The lock is tried again until the patience ends.
func TestPatienceForALock(t *testing.T) {
	path := fill(t, 3)
	synctest.Test(t, func(t *testing.T) {
		files := [2]*os.File{}
		for i := range files {
			var err error
			if files[i], err = os.Open(path); err != nil {
				t.Fatal(err)
			}
			defer files[i].Close()
		}
		if err := lock(files[0], 0); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := lock(files[1], 5*lockPause); !errors.Is(err, ErrLocked) || time.Since(began) != 5*lockPause {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

func TestDefaults(t *testing.T) {
	want := Options{
		CacheSize: 50_000, MaxPending: 50_000, MaxIdentities: 2_000_000,
		SnapshotEvery: 24 * time.Hour, ReadTimeout: 100 * time.Millisecond, LockTimeout: 500 * time.Millisecond,
	}
	got := Options{}.withDefaults()
	if got.Logger == nil {
		t.Error("no logger")
	}
	if days := got.KeepDays(); days != 628 {
		t.Errorf("%d days are kept", days)
	}
	got.Logger, got.KeepDays, got.Paging = nil, nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	least := Options{CacheSize: 1, MaxIdentities: 1}.withDefaults()
	if least.CacheSize != 16 || least.MaxIdentities != 100 {
		t.Errorf("at least: %+v", least)
	}
	none := Options{MaxPending: -1, ReadTimeout: -1, LockTimeout: -1, SnapshotEvery: -1}.withDefaults()
	if none.MaxPending != want.MaxPending || none.ReadTimeout != want.ReadTimeout || none.LockTimeout != want.LockTimeout || none.SnapshotEvery >= 0 {
		t.Errorf("less than nothing: %+v", none)
	}
}

// What no message could make again: any pin, and what an operator did.
func TestPinned(t *testing.T) {
	level := tlsstate.History{First: today, Last: today}
	for name, change := range map[string]func(*tlsstate.History){
		"an operator's act":      func(h *tlsstate.History) { h.Epoch = 1 },
		"a certificate's pin":    func(h *tlsstate.History) { h.CertPin.Formed = today },
		"one that was dropped":   func(h *tlsstate.History) { h.CertPin.Void = today },
		"a pin":                  func(h *tlsstate.History) { h.Pins[1].Formed = today },
		"a pin that was dropped": func(h *tlsstate.History) { h.Pins[1].Void = today },
	} {
		h := level
		if pinned(&h) || !stranger(&h) {
			t.Errorf("nothing of it: pinned %v, stranger %v", pinned(&h), stranger(&h))
		}
		if change(&h); !pinned(&h) || stranger(&h) {
			t.Errorf("%s: pinned %v, stranger %v", name, pinned(&h), stranger(&h))
		}
	}
}
