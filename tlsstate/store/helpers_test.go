package store

import (
	"bytes"
	"cmp"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tlsratchet/tlsstate"
)

const today tlsstate.Day = 20_000

// patience is for tests that are not about timeouts, on a machine that is busy.
const patience = time.Minute

func TestMain(m *testing.M) {
	if role := os.Getenv("STORE_TEST_CHILD"); role != "" {
		os.Exit(child(role, os.Getenv("STORE_TEST_PATH")))
	}
	goleak.VerifyTestMain(m)
}

func peer(i int) tlsstate.Identity {
	return tlsstate.Identity{Kind: tlsstate.Address, Name: fmt.Sprintf("198.51.%d.%d", i>>8, i&255)}
}

// seen is the history of a peer that used TLS 1.2 on the last n days.
func seen(n int) (h tlsstate.History) {
	for i := n - 1; i >= 0; i-- {
		h = session(h, today-tlsstate.Day(i), tlsstate.TLS12)
	}
	return h
}

func session(h tlsstate.History, day tlsstate.Day, l tlsstate.Level) tlsstate.History {
	rule := tlsstate.DefaultPolicy()
	_, after := tlsstate.Judge(h, tlsstate.Observation{Day: day, Security: tlsstate.Security{Level: l}}, &rule)
	return after
}

func mustMerge(t testing.TB, f *File, id tlsstate.Identity, h tlsstate.History) {
	t.Helper()
	if _, err := f.Update(id, netip.Addr{}, today, merging(h)); err != nil {
		t.Fatalf("Merge(%s): %v", id, err)
	}
}

func mustFlush(t testing.TB, f *File) {
	t.Helper()
	if err := f.Flush(t.Context()); err != nil {
		t.Fatalf("Flush: %v", err)
	}
}

func mustOpen(t testing.TB, path string, opts Options) *File {
	t.Helper()
	opts.ReadTimeout = patience
	f, err := Open(path, opts)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func mustClose(t testing.TB, f *File) {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "histories") }

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// with returns the lines that hold the text.
func (l *lines) with(text string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// await waits for a line that holds the text.
func (l *lines) await(t testing.TB, text string) {
	t.Helper()
	for began := time.Now(); len(l.with(text)) == 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("logged: %q", l.with("level="))
		}
	}
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// fakeDisk is a disk that can be full or stuck.
type fakeDisk struct {
	mu     sync.Mutex
	kept   map[tlsstate.Identity]tlsstate.History
	full   error // what put fails with
	bad    map[tlsstate.Identity]error
	groups []int
	stuck  chan struct{} // get and put wait for it to be closed
	gets   int
}

func newFakeDisk() *fakeDisk {
	free := make(chan struct{})
	close(free)
	return &fakeDisk{kept: map[tlsstate.Identity]tlsstate.History{}, bad: map[tlsstate.Identity]error{}, stuck: free}
}

func (d *fakeDisk) get(id tlsstate.Identity) (tlsstate.History, error) {
	d.mu.Lock()
	d.gets++
	stuck := d.stuck
	d.mu.Unlock()
	<-stuck
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kept[id], d.bad[id]
}

func (d *fakeDisk) put(group []entry) error {
	d.mu.Lock()
	stuck := d.stuck
	d.mu.Unlock()
	<-stuck
	d.mu.Lock()
	defer d.mu.Unlock()
	d.groups = append(d.groups, len(group))
	if d.full != nil {
		return d.full
	}
	for _, e := range group {
		if d.kept[e.id] = e.h; e.gone() {
			delete(d.kept, e.id)
		}
	}
	return nil
}

func (d *fakeDisk) scan(key []byte, n int) (batch, error) {
	var found []entry
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, h := range d.kept {
		if bytes.Compare(appendKey(nil, id), key) >= 0 {
			found = append(found, entry{id: id, h: h})
		}
	}
	slices.SortFunc(found, byIdentity)
	if len(found) > n {
		return batch{found[:n], appendKey(nil, found[n].id)}, nil
	}
	return batch{found: found}, nil
}

func (d *fakeDisk) close() error { return nil }

// reads is how many gets have begun.
func (d *fakeDisk) reads() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gets
}

// set changes the disk under its lock.
func (d *fakeDisk) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func (d *fakeDisk) tried() []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.groups)
}

func (d *fakeDisk) largest() int { return slices.MaxFunc(append(d.tried(), 0), cmp.Compare[int]) }

func startFake(t testing.TB, d disk, opts Options) *File {
	t.Helper()
	opts.SnapshotEvery = -1 // there is no file to take one of
	f, err := start("histories", opts.withDefaults(), d, census{}, rescue{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// merging is the grow that joins with h.
func merging(h tlsstate.History) func(tlsstate.History) tlsstate.History {
	return func(tlsstate.History) tlsstate.History { return h }
}
