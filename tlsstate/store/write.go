package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"tlsratchet/internal/loop"
	"tlsratchet/internal/trouble"
	"tlsratchet/tlsstate"
)

const (
	// commitDelay is how long changes gather, those that come during a commit
	// from its begin: none waits longer before its own commit begins, unless
	// the one before takes longer.
	commitDelay = time.Second / 2
	// groupSize bounds a transaction, and with it the memory it takes.
	groupSize = 2000
	// maxBackoff is the longest wait between tries when writing fails.
	maxBackoff = 30 * time.Second
)

// signal wakes the writer for a change that it waits for.
func (f *File) signal(waiting int) {
	if waiting == 1 {
		loop.Wake(f.wake)
	}
	if waiting >= groupSize {
		loop.Wake(f.full)
	}
}

// write is the one goroutine that writes.
func (f *File) write() {
	defer close(f.done)
	var due <-chan time.Time
	for {
		full := f.full
		if f.delay > 0 {
			full = nil // keep to the back-off
		}
		var answer chan error
		select {
		case <-f.wake:
			if due == nil {
				due = time.After(commitDelay)
			}
			continue
		case <-full:
		case <-due:
		case answer = <-f.flushes:
		case <-f.ctx.Done():
			f.ended = f.end()
			return
		}
		began := time.Now()
		err := f.commitAll()
		if answer != nil {
			answer <- err
		}
		due = nil
		if f.table.waiting() > 0 {
			due = time.After(max(f.delay, commitDelay-time.Since(began)))
		}
	}
}

// commitAll writes what is pending now, group by group.
func (f *File) commitAll() error {
	for mark := f.table.now().changes; f.table.due(mark); {
		group := f.table.group(groupSize)
		if len(group) == 0 {
			continue // all of them were written before their turn
		}
		var err error
		f.opts.Paging(func() { err = f.disk.put(group) })
		if err != nil {
			f.table.failed(group)
			f.report(&f.writing, err)
			f.delay = min(max(2*f.delay, time.Second), maxBackoff)
			return fmt.Errorf("writing history file %s: %w", f.path, err)
		}
		f.table.written(group)
		f.report(&f.writing, nil)
		f.delay = 0
	}
	return nil
}

// inPlace returns an error if the file is no longer the one at its path.
func (f *File) inPlace() error {
	now, err := os.Stat(f.path)
	switch {
	case f.made == nil, err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil // nothing is known of it
	case err == nil && !os.SameFile(now, f.made):
		return errors.New("another file is there")
	}
	return err
}

// end writes what is left, and closes the file when its readers are done. Of a
// file that is no longer in its place a snapshot is left.
func (f *File) end() error {
	err := f.commitAll()
	if n := f.table.waiting(); err != nil {
		err = fmt.Errorf("%d changes are lost: %w", n, err)
	}
	f.readers.Wait()
	if f.inPlace() != nil && f.opts.SnapshotEvery >= 0 && !f.snapshotWaits() {
		err = errors.Join(err, guarded(func() error { return f.snapshot(batches(f.look, tlsstate.Identity{})) }))
	}
	if cerr := f.disk.close(); err == nil && cerr != nil {
		err = fmt.Errorf("closing history file %s: %w", f.path, cerr)
	}
	return err
}

// report reports how a try went, and returns true if trouble began. That the store
// is closed is no trouble.
func (f *File) report(t *trouble.State, err error) (begins bool) {
	return !errors.Is(err, ErrClosed) && t.Note(f.log, err, "path", f.path, "pending", f.table.waiting())
}
