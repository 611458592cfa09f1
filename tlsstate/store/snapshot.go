package store

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// snapshots are the names of the snapshots of a file, the newest first.
func snapshots(path string) []string {
	return []string{path + ".snapshot-1", path + ".snapshot-2"}
}

// Snapshot copies the file, pending changes left out, next to it: to
// path.snapshot-1, after what was there became path.snapshot-2. It is an error if
// damaged records are met, or if the copy is no good. It is slow on purpose, so
// that reads and writes go on; what changes meanwhile may or may not be in it. A
// File does it by itself once a day.
func (f *File) Snapshot() error { return f.snapshot(f.paced()) }

// snapshot is Snapshot of what is in the file, in its order.
func (f *File) snapshot(all iter.Seq2[[]entry, error]) error {
	f.snapshotting.Lock()
	defer f.snapshotting.Unlock()
	began := time.Now()
	draft := f.path + ".snapshot-new"
	err := f.draft(draft, all)
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

// draft copies record by record: a transaction that is open for long keeps bbolt
// from using free pages and from moving its mapping, and then all wait. It leaves the
// disk some room, where that is known: Postfix's queue may be there.
func (f *File) draft(name string, all iter.Seq2[[]entry, error]) error {
	empty, err := makeFile(name, 0)
	if err != nil {
		return err
	}
	_ = empty.Close()
	to, _, err := openBolt(name, 0, nil)
	if err != nil {
		return err
	}
	to.fill, to.db.NoSync = 0.95, true // in the order of keys, and synced once
	before, copied := f.Stats().Damaged, 0
	for batch, failed := range all {
		copied += len(batch)
		if err = cmp.Or(failed, room(filepath.Dir(name)), to.put(batch)); err != nil {
			break
		}
	}
	if err = errors.Join(err, to.db.Sync(), to.close()); err != nil {
		return err
	}
	return verifyCopy(name, copied+int(f.Stats().Damaged-before)) // what is damaged is not copied
}

// verifyCopy verifies a copy of so many records: it is to take the place of one
// that is good.
func verifyCopy(name string, records int) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	found, err := verify(f)
	if err == nil && (found.damaged > 0 || found.records != records) {
		err = fmt.Errorf("%w: the copy has %d records, want %d", ErrDamaged, found.records, records)
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

// snapshotDue reports whether a snapshot is due. One dated in the future was made
// with a wrong clock.
func (f *File) snapshotDue() bool {
	if f.opts.SnapshotEvery < 0 || f.Len() == 0 || f.snapshotWaits() {
		return false
	}
	info, err := os.Stat(snapshots(f.path)[0])
	if err != nil || f.place.Failing() {
		return true
	}
	age := time.Since(info.ModTime())
	return age >= f.opts.SnapshotEvery || age < -time.Hour
}

// snapshotWaits reports whether it is a snapshot whose records are still to be
// joined: no other may take its place.
func (f *File) snapshotWaits() bool {
	return slices.ContainsFunc(snapshots(f.path), func(name string) bool { return slices.Contains(f.salvage, name) })
}
