package store

import (
	"bytes"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"tlsratchet/tlsstate"
)

func TestANewFileIsPrivate(t *testing.T) {
	path := newPath(t)
	mustOpen(t, path, Options{})
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestWhatIsNoHistoryFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	foreign := filepath.Join(dir, "foreign")
	db, err := bolt.Open(foreign, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("other")); return err })
	if err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path string
		want       error
		text       string
	}{
		{"folder missing", filepath.Join(dir, "no", "histories"), fs.ErrNotExist, "no such file or directory"},
		{"a folder", dir, nil, "is a directory"},
		{"a text", write("text", bytes.Repeat([]byte("hello\n"), 5000)), ErrDamaged, "no valid meta page"},
		{"a few bytes", write("few", []byte("hi")), ErrDamaged, "no valid meta page"},
		{"zeros", write("zeros", make([]byte, 1<<15)), ErrDamaged, "no valid meta page"},
		{"a device", "/dev/null", nil, "not a regular file"},
		{"another's database", foreign, ErrDamaged, "not a history file"},
	}
	for _, tt := range append(tests, tests...) { // twice: what is refused is not held
		f, err := Open(tt.path, Options{})
		if err == nil {
			mustClose(t, f)
		}
		if err == nil || (tt.want != nil && !errors.Is(err, tt.want)) || !strings.Contains(err.Error(), tt.text) || !strings.Contains(err.Error(), tt.path) {
			t.Errorf("%s: %v, want %v: …%s…", tt.name, err, tt.want, tt.text)
		}
	}
}

// Killed before it had its buckets, or of a disk that was full at the first start.
func TestACreationThatWasCutShortIsBegunAgain(t *testing.T) {
	for _, size := range []int64{-1, 4096, 8192, 12288} {
		path := newPath(t)
		db, err := bolt.Open(path, 0o600, nil)
		if err != nil || db.Close() != nil {
			t.Fatal(err)
		}
		if size > 0 {
			if err := os.Truncate(path, size); err != nil {
				t.Fatal(err)
			}
		}
		var log lines
		f := mustRecover(t, path, Options{Logger: log.logger()})
		mustMerge(t, f, peer(1), seen(6))
		mustClose(t, f)
		if f = mustOpen(t, path, Options{}); f.Len() != 1 || len(log.with("level=")) > 0 || len(beside(t, path)) > 0 {
			t.Errorf("of %d bytes: %d histories, logged %q, beside it %q", size, f.Len(), log.with("level="), beside(t, path))
		}
	}
}

func TestAFileOfANewerVersionIsLeftAlone(t *testing.T) {
	newer := map[string]func(tx *bolt.Tx) error{
		"file": func(tx *bolt.Tx) error {
			if err := tx.DeleteBucket(bucketHistories); err != nil { // it may look quite otherwise
				return err
			}
			return tx.Bucket(bucketMeta).Put(keyFormat, formatText(Format+1))
		},
		"record": func(tx *bolt.Tx) error {
			key := appendKey(nil, peer(7))
			return tx.Bucket(bucketHistories).Put(key, newerValue(key))
		},
	}
	for name, change := range newer {
		t.Run(name, func(t *testing.T) {
			path := fill(t, 10)
			alter(t, path, change)
			old := time.Now().Add(-time.Hour).Truncate(time.Second)
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
			before := read(t, path)
			for range 2 { // the lock is let go of
				if _, err := Open(path, Options{}); !errors.Is(err, ErrNewerVersion) {
					t.Fatalf("Open: %v", err)
				}
			}
			info, err := os.Stat(path)
			if err != nil || !info.ModTime().Equal(old) || !bytes.Equal(read(t, path), before) {
				t.Errorf("it was touched: %v, %v", info.ModTime(), err)
			}
		})
	}
}

// newerValue is a record that says it is of version 2.
func newerValue(key []byte) []byte {
	b, _ := seen(3).AppendBinary(nil)
	b[0] = tlsstate.RecordVersion + 1
	b = resum(b[:len(b)-4])
	return append(b, appendValue(nil, key, seen(3), 0)[len(b):]...)
}

// A kill leaves the file as it was at some moment. Whatever the moment, it
// opens, and holds what was committed before.
func TestAKillLosesNothingThatWasCommitted(t *testing.T) {
	path := newPath(t)
	f := mustOpen(t, path, Options{})
	for round := range 5 {
		for i := range 200 {
			mustMerge(t, f, peer(round*100+i), seen(1+round))
		}
		mustFlush(t, f)
		mustMerge(t, f, peer(9999), seen(2+round)) // pending when it is killed
		copied := newPath(t)
		if err := os.WriteFile(copied, read(t, path), 0o600); err != nil {
			t.Fatal(err)
		}
		again := mustOpen(t, copied, Options{})
		if again.Len() < round*100+200 || again.Stats().Damaged != 0 {
			t.Errorf("round %d: %d histories", round, again.Len())
		}
		for i := range 200 {
			if h, err := again.Load(peer(round*100 + i)); err != nil || h != seen(1+round) {
				t.Fatalf("round %d: Load(%s) = %+v, %v", round, peer(round*100+i), h, err)
			}
		}
		mustClose(t, again)
	}
}

func TestTheSteadyPathAllocatesNothing(t *testing.T) {
	f := mustOpen(t, newPath(t), Options{})
	m := NewMemory(0)
	id, h := peer(1), seen(6)
	grow := func(h tlsstate.History) tlsstate.History { return session(h, today, tlsstate.TLS12) }
	for name, s := range map[string]interface {
		Load(tlsstate.Identity) (tlsstate.History, error)
		Update(tlsstate.Identity, netip.Addr, tlsstate.Day, func(tlsstate.History) tlsstate.History) (tlsstate.History, error)
	}{"file": f, "memory": m} {
		if _, err := s.Update(id, netip.Addr{}, today, merging(h)); err != nil {
			t.Fatal(err)
		}
		_, _ = s.Load(id)
		if n := testing.AllocsPerRun(100, func() { _, _ = s.Load(id) }); n != 0 {
			t.Errorf("%s: Load allocates %v times", name, n)
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = s.Update(id, netip.Addr{}, today, grow) }); n != 0 {
			t.Errorf("%s: Update allocates %v times", name, n)
		}
	}
}

func TestHitsAndMissesAreCounted(t *testing.T) {
	path := fill(t, 3)
	f := mustOpen(t, path, Options{})
	for range 3 {
		for i := range 3 {
			if h, err := f.Load(peer(i)); err != nil || h == (tlsstate.History{}) {
				t.Fatalf("Load = %+v, %v", h, err)
			}
		}
	}
	if s := f.Stats(); s.Hits != 6 || s.Misses != 3 || f.Len() != 3 || f.Newest() != today {
		t.Errorf("%+v, %d histories, the newest day %s", s, f.Len(), f.Newest())
	}
}

// Strangers push other strangers out of a bounded memory, and nobody else.
func TestAFloodOfStrangersLeavesPinsInMemory(t *testing.T) {
	m := NewMemory(400)
	for i := range 200 {
		if _, err := m.Update(peer(i), netip.Addr{}, today, merging(seen(6))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5000 {
		if _, err := m.Update(peer(1000+i), netip.Addr{}, today, merging(seen(1))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 200 {
		if h, err := m.Load(peer(i)); err != nil || h != seen(6) {
			t.Fatalf("Load(%s) = %+v, %v", peer(i), h, err)
		}
	}
	if m.Len() != 300 || m.Stats().Dropped != 4900 {
		t.Errorf("%d histories, %+v", m.Len(), m.Stats())
	}
	for i := range 1000 {
		if _, err := m.Update(peer(i), netip.Addr{}, today, merging(seen(6))); err != nil {
			t.Fatal(err)
		}
	}
	if m.Len() != 400 {
		t.Errorf("%d histories, room is for 400", m.Len())
	}
	if err := m.Close(); err != nil || m.Len() != 0 {
		t.Errorf("closed: %v, %d histories", err, m.Len())
	}
}

// fill makes a file of n peers.
func fill(t testing.TB, n int) string {
	t.Helper()
	path := newPath(t)
	f := mustOpen(t, path, Options{})
	for i := range n {
		mustMerge(t, f, peer(i), seen(1+i%9))
	}
	mustClose(t, f)
	return path
}

// alter changes a file behind the store's back.
func alter(t testing.TB, path string, change func(*bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(change); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
