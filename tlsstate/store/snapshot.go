package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tlsratchet/tlsstate"
)

// snapshots are the names of the snapshots of a file, the newest first.
func snapshots(path string) []string {
	return []string{path + ".snapshot-1", path + ".snapshot-2"}
}

// ErrBusy: a snapshot was given up because reading and writing waited for it.
// Try again later.
var ErrBusy = errors.New("reads and writes are waiting for it")

const (
	// snapshotStep is how much is copied before the disk is given a rest.
	snapshotStep = 4 << 20
	// snapshotPause bounds that rest.
	snapshotPause = time.Second
	// snapshotYield is how long a group, and then a read, may take while a
	// snapshot is taken. A transaction as long as that keeps bbolt from moving
	// its mapping: who must waits, and with him all who read.
	snapshotYield = 250 * time.Millisecond
)

// Snapshot copies the file as it is now, pending changes left out, next to it:
// to path.snapshot-1, after what was there became path.snapshot-2. Damage is
// not copied: the copy is verified first. It is slow on purpose, so that
// reads and writes go on. A File does it by itself once a day.
func (f *File) Snapshot() error {
	f.snapshotting.Lock()
	defer f.snapshotting.Unlock()
	began := time.Now()
	draft := f.path + ".snapshot-new"
	err := f.draft(draft)
	if err == nil {
		err = publish(f.path, draft, began)
	}
	if err != nil {
		_ = os.Remove(draft)
		return fmt.Errorf("taking a snapshot of history file %s: %w", f.path, err)
	}
	f.table.count(func(s *Stats) { s.Snapshots++ })
	return nil
}

// draft makes a verified copy.
func (f *File) draft(name string) error {
	to, err := makeFile(name, 0)
	if err != nil {
		return err
	}
	defer func() { _ = to.Close() }()
	w := &pacedWriter{f: f, to: to}
	if err := f.disk.copyTo(w); err != nil {
		if w.err != nil {
			return w.err // bbolt doesn't wrap it
		}
		return err
	}
	if err := to.Sync(); err != nil {
		return err
	}
	found, err := verify(to)
	if err == nil && found.damaged > 0 {
		err = fmt.Errorf("%w: %d records", ErrDamaged, found.damaged)
	}
	return err
}

// publish puts a draft in the place of the newest snapshot. Whenever it is cut
// short, one good snapshot is there.
func publish(path, draft string, at time.Time) error {
	if err := os.Chtimes(draft, at, at); err != nil {
		return err
	}
	names := snapshots(path)
	if err := os.Rename(names[0], names[1]); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(draft, names[0]); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return dir.Sync()
}

// pacedWriter writes with pauses, and gives up when the store is closed or its
// writer is held up.
type pacedWriter struct {
	f   *File
	to  *os.File
	n   int // since the last pause
	err error
}

func (w *pacedWriter) Write(b []byte) (n int, err error) {
	if w.err = w.mayGoOn(); w.err != nil {
		return 0, w.err
	}
	n, w.err = w.to.Write(b)
	if w.n += n; w.err != nil || w.n < snapshotStep {
		return n, w.err
	}
	w.n = 0
	began := time.Now()
	if w.err = w.to.Sync(); w.err == nil {
		w.err = w.f.pause(min(time.Since(began), snapshotPause))
	}
	return n, w.err
}

func (w *pacedWriter) mayGoOn() error {
	if w.f.stopping() {
		return ErrClosed
	}
	since := w.f.putting.Load()
	if since == 0 || time.Now().UnixNano()-since < int64(snapshotYield) {
		return nil
	}
	nobody := tlsstate.Identity{Kind: tlsstate.Listener, Name: "nobody"}
	_, err := ask(w.f, snapshotYield, func() (tlsstate.History, error) { return w.f.disk.get(nobody) })
	if errors.Is(err, ErrTimeout) {
		return ErrBusy
	}
	return nil // the disk is slow, but not because of us
}

// snapshotDue reports whether a snapshot is due. One dated in the future was made
// with a wrong clock.
func (f *File) snapshotDue() bool {
	if f.opts.SnapshotEvery < 0 || f.Len() == 0 {
		return false
	}
	info, err := os.Stat(snapshots(f.path)[0])
	if err != nil {
		return true
	}
	age := time.Since(info.ModTime())
	return age >= f.opts.SnapshotEvery || age < -time.Hour
}

// logSnapshot logs the first failure, and the next success.
func (f *File) logSnapshot(err error) {
	switch {
	case err != nil && !f.snapshotFailed && !f.stopping():
		f.snapshotFailed = true
		f.noteDamage(err)
		f.log.Error("no snapshot of the history file: if it is damaged, more will be lost", "path", f.path, "error", err)
	case err == nil && f.snapshotFailed:
		f.snapshotFailed = false
		f.log.Info("snapshots of the history file are taken again", "path", f.path)
	}
}
