package store

import (
	"fmt"
	"time"
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
		poke(f.wake)
	}
	if waiting >= groupSize {
		poke(f.full)
	}
}

// poke leaves a token where there isn't one yet.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// write is the one goroutine that writes.
func (f *File) write() {
	defer close(f.done)
	var bad trouble
	var due <-chan time.Time
	for {
		full := f.full
		if bad.delay > 0 {
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
		case <-f.stop:
			f.ended = f.end(&bad)
			return
		}
		began := time.Now()
		err := f.commitAll(&bad)
		if answer != nil {
			answer <- err
		}
		due = nil
		if f.table.waiting() > 0 {
			due = time.After(max(bad.delay, commitDelay-time.Since(began)))
		}
	}
}

// commitAll writes what is pending now, group by group.
func (f *File) commitAll(bad *trouble) error {
	for mark := f.table.now(); f.table.due(mark); {
		group := f.table.group(groupSize)
		if len(group) == 0 {
			continue // all of them were written before their turn
		}
		err := f.disk.put(group)
		if err != nil {
			f.table.failed(group)
			f.began(bad, err)
			return fmt.Errorf("writing history file %s: %w", f.path, err)
		}
		f.table.written(group)
		f.over(bad)
	}
	return nil
}

// end writes what is left, and closes the file when its readers are done.
func (f *File) end(bad *trouble) error {
	err := f.commitAll(bad)
	if n := f.table.waiting(); err != nil {
		err = fmt.Errorf("%d changes are lost: %w", n, err)
	}
	f.readers.Wait()
	if cerr := f.disk.close(); err == nil && cerr != nil {
		err = fmt.Errorf("closing history file %s: %w", f.path, cerr)
	}
	return err
}

// trouble is a time in which nothing can be written. Its begin and its end
// are logged.
type trouble struct {
	since time.Time
	delay time.Duration // until the next try; 0 when all is well
}

func (f *File) began(bad *trouble, err error) {
	if bad.delay == 0 {
		bad.since = time.Now()
		f.log.Error("history file can't be written: changes are kept in memory and tried again",
			"path", f.path, "error", err, "pending", f.table.waiting())
	}
	bad.delay = min(max(2*bad.delay, time.Second), maxBackoff)
}

func (f *File) over(bad *trouble) {
	if bad.delay == 0 {
		return
	}
	f.log.Info("history file is written again", "path", f.path,
		"after", time.Since(bad.since).Round(time.Second), "pending", f.table.waiting())
	*bad = trouble{}
}
