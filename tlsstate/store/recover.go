package store

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tlsratchet/tlsstate"
)

// OpenOrRecover is Open for a daemon, which must serve. A damaged file is set
// aside as path.damaged-2026-11-22T183000Z, a copy of the last good snapshot
// takes its place, or an empty file if there is none, and one error line states
// what is lost. If only single records are damaged, all others are joined with
// the snapshot while the store is in use. A missing file whose snapshots exist
// counts as damaged: to start empty, remove the snapshots too.
func OpenOrRecover(path string, opts Options) (*File, error) {
	opts = opts.withDefaults()
	r := rescue{path: path, patience: opts.LockTimeout, log: opts.Logger}
	d, found, err := openBolt(path, opts.LockTimeout, r.replace)
	if err != nil {
		return nil, fmt.Errorf("history file %s: %w", path, err)
	}
	if found.damaged > 0 { // and no snapshot
		logDamage(path, opts.Logger, found)
		if err := d.sweep(found.bad); err != nil {
			opts.Logger.Error("damaged records stay in the history file: no snapshot can be taken", "path", path, "error", err)
		}
	}
	return start(path, opts, d, found, r.salvage)
}

// rescue puts something good in the place of a damaged file.
type rescue struct {
	path     string
	patience time.Duration
	log      *slog.Logger
	salvage  string // what was set aside, if it has intact records
}

// spare is a file made ready to take the place of another, locked.
type spare struct {
	file  *os.File
	found census
	from  string    // the snapshot; "" for none
	since time.Time // when that was taken
}

// replace returns what to open instead of a file that was verified so. The lock
// of the damaged one is held until the other is in its place.
func (r *rescue) replace(f *os.File, found census, cause error) (*os.File, census, error) {
	if !errors.Is(cause, ErrDamaged) && (cause != nil || !found.fresh && found.damaged == 0) {
		return f, found, cause
	}
	s, ok := r.fromSnapshot()
	if !ok && cause == nil {
		return f, found, nil // it is new, or the best there is
	}
	if !ok {
		var err error
		if s.file, err = makeFile(r.path+madeFor, r.patience); err != nil {
			return f, found, errors.Join(cause, err)
		}
		s.found = census{fresh: true}
	}
	aside, err := r.swap(f, s.file)
	if err != nil {
		s.discard()
		r.log.Error("damaged history file can't be set aside", "path", r.path, "error", err)
		return f, found, cause
	}
	_ = f.Close()
	if found.damaged > 0 && cause == nil {
		r.salvage = aside
	}
	r.logLoss(&s, aside, found, cause)
	return s.file, s.found, nil
}

// discard removes the file.
func (s *spare) discard() {
	if s.file != nil {
		_ = os.Remove(s.file.Name())
		_ = s.file.Close()
	}
}

// fromSnapshot copies the newest snapshot that is good.
func (r *rescue) fromSnapshot() (spare, bool) {
	for _, name := range snapshots(r.path) {
		s := spare{from: name}
		err := r.copy(&s)
		if err == nil && s.found.damaged == 0 && !s.found.fresh {
			return s, true
		}
		s.discard()
		if !errors.Is(err, os.ErrNotExist) {
			r.log.Warn("snapshot of the history file is not usable", "path", name, "damaged", s.found.damaged, "error", err)
		}
	}
	return spare{}, false
}

// copy copies a snapshot and verifies the copy. It isn't synced: should it be
// lost, the snapshot is still there.
func (r *rescue) copy(s *spare) error {
	from, err := os.Open(s.from)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	s.since = info.ModTime()
	if s.file, err = makeFile(r.path+madeFor, r.patience); err != nil {
		return err
	}
	if _, err := io.Copy(s.file, from); err != nil {
		return err
	}
	s.found, err = verify(s.file)
	return err
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
// in its place. The path always holds a file.
func (r *rescue) swap(damaged, good *os.File) (aside string, err error) {
	info, err := damaged.Stat()
	if err != nil {
		return "", err
	}
	if info.Size() > 0 {
		if aside, err = setAside(r.path, time.Now()); err != nil {
			return "", err
		}
	}
	if err := os.Rename(good.Name(), r.path); err != nil {
		return "", err
	}
	_ = syncFolder(filepath.Dir(r.path)) // where it can't, it is no worse
	return aside, nil
}

const (
	asideMark = ".damaged-"
	asideTime = "2006-01-02T150405Z"
	// asideKept is how many files are set aside: they are large.
	asideKept = 3
)

// setAside gives the file a dated name, and removes the oldest of those.
func setAside(path string, now time.Time) (string, error) {
	removeOldest(path, asideKept-1)
	name := path + asideMark + now.UTC().Format(asideTime)
	for n := 2; ; n++ {
		err := os.Link(path, name)
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, os.ErrExist) {
			return name, os.Rename(path, name) // no hard links here
		}
		if n > 9 {
			return "", err
		}
		name = fmt.Sprintf("%s%s%s-%d", path, asideMark, now.UTC().Format(asideTime), n)
	}
}

// removeOldest leaves n of the files that were set aside.
func removeOldest(path string, n int) {
	dir, base := filepath.Split(path)
	files, _ := os.ReadDir(filepath.Clean(dir)) // in the order of their names, and so of their dates
	files = slices.DeleteFunc(files, func(f os.DirEntry) bool { return !strings.HasPrefix(f.Name(), base+asideMark) })
	for i := range len(files) - n {
		_ = os.Remove(filepath.Join(dir, files[i].Name()))
	}
}

// logLoss logs in one line what is lost.
func (r *rescue) logLoss(s *spare, aside string, found census, cause error) {
	what, since := "history file was damaged and there is no good snapshot: every peer is new", "ever"
	if s.from != "" {
		what = "history file was damaged: it was replaced by the last good snapshot, and what was learned since is lost"
		since = s.since.UTC().Format(time.RFC3339)
	}
	if r.salvage != "" {
		what = "history file had damaged records: it was replaced by the last good snapshot, and the intact records are joined with it"
	}
	r.log.Error(what, "path", r.path, "set_aside", aside, "snapshot", s.from, "since", since,
		"identities", s.found.records, "damaged", found.damaged, "error", cause)
}

// rejoin joins the intact records of a file that was set aside with ours.
func (f *File) rejoin(aside string) {
	d, found, err := openBolt(aside, f.opts.LockTimeout, nil)
	if err == nil {
		err = errors.Join(f.rejoinAll(d), d.close())
	}
	if err != nil && !errors.Is(err, ErrClosed) {
		f.log.Error("the intact records of the damaged history file could not be joined", "path", aside, "error", err)
		return
	}
	f.log.Info("the intact records of the damaged history file are joined", "path", aside, "records", found.records)
}

func (f *File) rejoinAll(d disk) error {
	today := tlsstate.DayOf(time.Now())
	for batch, err := range batches(d.scan, tlsstate.Identity{}) {
		for _, e := range batch {
			_, err := f.update(e.id, source{from: e.from, today: today, known: true}, func(tlsstate.History) tlsstate.History { return e.h })
			if err != nil && !errors.Is(err, ErrFuture) {
				return err
			}
		}
		if err = errors.Join(err, f.pause(0)); err != nil {
			return err
		}
	}
	return nil
}
