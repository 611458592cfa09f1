package store

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tlsratchet/internal/statefile"
	"tlsratchet/tlsstate"
)

// OpenOrRecover is Open for a daemon, which must serve. A damaged file is set
// aside as path.damaged-2026-11-22T183000.000Z, a copy of the last good snapshot
// takes its place, or an empty file if there is none, and one error line states
// what is lost. If only single records are damaged, all others are joined with
// the snapshot while the store is in use, or after the next start: until that is
// done a link beside their file states that, NAME.to-rejoin. A missing file whose
// snapshots exist counts as damaged: to start empty, remove the snapshots too.
func OpenOrRecover(path string, opts Options) (*File, error) {
	opts = opts.withDefaults()
	r := rescue{path: path, opts: opts}
	d, found, err := openBolt(path, opts.LockTimeout, r.replace)
	if err != nil {
		return nil, fmt.Errorf("history file %s: %w", path, err)
	}
	if found.damaged > 0 { // and no better snapshot
		logDamage(path, opts.Logger, found)
		r.lost = cmp.Or(r.lost, damagedRecords)
		if err := d.put(found.bad); err != nil { // also of none: a commit writes a meta page again
			opts.Logger.Error("damaged records stay in the history file: no snapshot can be taken", "path", path, "error", err)
		}
	}
	for _, name := range append(statefile.At(path).Asides(), snapshots(path)...) {
		if waits(name) && !slices.Contains(r.salvage, name) {
			r.salvage = append(r.salvage, name)
		}
	}
	return start(path, opts, d, found, r)
}

// toRejoin ends the name of a link to a file beside it that is to be rejoined.
const toRejoin = ".to-rejoin"

func waits(name string) bool {
	_, err := os.Lstat(name + toRejoin)
	return err == nil
}

// rescue puts something good in the place of a damaged file.
type rescue struct {
	path    string
	opts    Options
	salvage []string // files whose records are to be joined
	lost    string   // what is lost, in words
}

// replace returns what to open instead of a file that was verified so. The lock
// of the damaged one is held until the other is in its place.
func (r *rescue) replace(f *os.File, found census, cause error) (*os.File, census, error) {
	if !errors.Is(cause, ErrDamaged) && (cause != nil || !found.fresh && found.damaged == 0) {
		return f, found, cause
	}
	names, unusable := snapshots(r.path), false
	whole := len(names)
	if cause != nil || found.fresh { // then one with damaged records is better than nothing
		names = append(names, names...)
	}
	if cause != nil {
		names = append(names, "") // an empty file
	}
	for i, name := range names {
		good, has, err := r.spare(name, i < whole)
		switch {
		case err == nil:
			return r.exchange(f, found, cause, good, has, name)
		case name == "":
			cause = errors.Join(cause, err)
		case i < whole && !errors.Is(err, os.ErrNotExist):
			r.opts.Logger.Warn("snapshot of the history file is not usable", "path", name, "error", err)
			unusable = true
			if !errors.Is(err, ErrDamaged) && len(r.salvage) == 0 {
				r.later(name)
			}
		}
	}
	if found.fresh && unusable {
		r.lost = "history file was missing and no snapshot of it can be used: every peer is new"
		r.opts.Logger.Error(r.lost, "path", r.path)
	}
	return f, found, cause // it is new, or the best there is
}

// later has the records of a file joined with ours when it can be read, after the
// next start too. Where there can be no link, a kill may cost them.
func (r *rescue) later(name string) {
	r.salvage = append(r.salvage, name)
	_ = os.Symlink(filepath.Base(name), name+toRejoin)
}

// exchange puts the good file, a copy of a snapshot or empty, in the place of the
// damaged one.
func (r *rescue) exchange(f *os.File, found census, cause error, good *os.File, has census, snapshot string) (*os.File, census, error) {
	info, old := os.Stat(snapshot)
	joins := found.damaged > 0 && cause == nil
	aside, removed, err := r.swap(f, good, joins)
	if err != nil {
		r.discard(good)
		r.opts.Logger.Error("damaged history file can't be set aside", "path", r.path, "error", err)
		return f, found, cause
	}
	_ = f.Close()
	since := "ever"
	if old == nil {
		since = info.ModTime().UTC().Format(time.RFC3339)
	}
	r.lost = "history file was damaged"
	if found.fresh {
		r.lost = "history file was missing or empty"
	}
	switch {
	case joins:
		r.lost = "history file had damaged records: it was replaced by the last good snapshot, and the intact records are joined with it"
	case has.damaged > 0:
		r.lost += " and its snapshots have damaged records: it was replaced by the newest, and what was learned since is lost, and the histories of some peers"
	case old == nil:
		r.lost += ": it was replaced by the last good snapshot, and what was learned since is lost"
	default:
		r.lost += " and there is no good snapshot: every peer is new"
	}
	r.opts.Logger.Error(r.lost, "path", r.path, "set_aside", aside, "removed", removed, "snapshot", snapshot, "since", since,
		"identities", has.records, "damaged", found.damaged, "error", cause)
	return good, has, nil
}

// spare returns a locked and verified file to take the place of another: a copy of
// a snapshot, the snapshot itself where there is no room for one, or an empty file
// for "". If it must be whole, damaged records are an error. A copy isn't synced:
// should it be lost, the snapshot is still there.
func (r *rescue) spare(snapshot string, whole bool) (f *os.File, has census, err error) {
	f, err = r.copied(snapshot)
	if err != nil && snapshot != "" {
		f, err = lockFile(snapshot, os.O_RDWR, 0, r.opts.LockTimeout)
	}
	if err != nil {
		return nil, has, err
	}
	if has, err = verify(f); err == nil && snapshot != "" && (has.fresh || whole && has.damaged > 0) {
		err = fmt.Errorf("%w: %d damaged records", ErrDamaged, has.damaged)
	}
	if err != nil {
		r.discard(f)
	}
	return f, has, err
}

// copied returns a locked copy of a file, an empty one for "".
func (r *rescue) copied(name string) (*os.File, error) {
	from := io.Reader(strings.NewReader(""))
	if name != "" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		from = file
	}
	f, err := makeFile(r.path+madeFor, r.opts.LockTimeout)
	if err != nil {
		return nil, err
	}
	if _, err = io.Copy(f, from); err != nil {
		r.discard(f)
	}
	return f, err
}

// discard closes a file, and removes it if it was made here.
func (r *rescue) discard(f *os.File) {
	if f.Name() == r.path+madeFor {
		_ = os.Remove(f.Name())
	}
	_ = f.Close()
}

// madeFor ends the name of a file that is to replace a damaged one.
const madeFor = ".recovered"

// makeFile makes an empty file, locked, in the place of one that was left by a
// process that was killed. It follows no link.
func makeFile(name string, patience time.Duration) (*os.File, error) {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return lockFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, patience)
}

// swap sets the damaged file aside, unless it is empty, and puts the good one
// in its place. joins says that it has records to be joined with that. The path
// always holds a file.
func (r *rescue) swap(damaged, good *os.File, joins bool) (aside string, removed []string, err error) {
	info, err := damaged.Stat()
	if err == nil && info.Size() > 0 {
		aside, removed, err = statefile.At(r.path).SetAside(time.Now(), waits)
	}
	if err != nil {
		return "", nil, err
	}
	for _, name := range removed {
		_ = os.Remove(name + toRejoin)
	}
	if joins {
		r.later(aside)
	}
	if err := os.Rename(good.Name(), r.path); err != nil {
		return "", removed, err
	}
	_ = syncFolder(filepath.Dir(r.path)) // where it can't, it is no worse
	return aside, removed, nil
}

// rejoin joins the intact records of files that were set aside, or of a snapshot,
// with ours. What can't be read, or kept, now is tried again.
func (f *File) rejoin() {
	if len(f.salvage) == 0 {
		return
	}
	var failed error
	f.salvage = slices.DeleteFunc(f.salvage, func(name string) bool {
		err := f.rejoinFile(name)
		if err == nil {
			_ = os.Remove(name + toRejoin)
		}
		failed = errors.Join(failed, err)
		return err == nil
	})
	f.report(&f.rejoining, failed)
}

func (f *File) rejoinFile(name string) error {
	if !exists(name) { // an operator removed it
		return nil
	}
	d, found, err := openBolt(name, f.opts.LockTimeout, nil)
	if err == nil {
		err = errors.Join(guarded(func() error { return f.rejoinAll(name, d) }), d.close())
	}
	damaged := errors.Is(err, ErrDamaged)
	if err = cmp.Or(err, f.Flush(f.ctx)); f.ctx.Err() != nil {
		return ErrClosed // the next start goes on
	}
	switch {
	case err == nil:
		f.log.Info("intact records are joined with the history", "path", name, "records", found.records)
	case damaged:
		f.log.Error("intact records could not be joined with the history: they are lost", "path", name, "error", err)
		err = nil
	}
	return err
}

// rejoinAll joins all that is not dated in the future. If most of it is, the clock
// is wrong.
func (f *File) rejoinAll(name string, d disk) error {
	today, all, future := tlsstate.DayOf(time.Now()), 0, 0
	for batch, err := range batches(d.scan, tlsstate.Identity{}) {
		for _, e := range batch {
			_, err := f.update(e.id, source{from: e.from, today: today, known: true}, func(tlsstate.History) tlsstate.History { return e.h })
			switch {
			case errors.Is(err, ErrFuture):
				future++
			case err != nil: // our own file may be damaged, which is no fault of the copy
				return fmt.Errorf("joining %s: %v", e.id, err)
			}
		}
		all += len(batch)
		if err = errors.Join(err, f.yield()); err != nil {
			return err
		}
	}
	if 2*future > all {
		return fmt.Errorf("%w: %d of %d records: is the clock right? If it is, remove %s", ErrFuture, future, all, name)
	}
	return nil
}
