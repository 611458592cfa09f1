package store

import (
	"errors"
	"time"

	"tlsratchet/tlsstate"
)

// readers is how many goroutines read the disk. A stuck disk blocks these alone, as
// long as Go has a processor more than wait for a page of the mapped file, and
// collects no garbage: Options.Paging sees to the first.
const readers = 4

func (f *File) read() {
	for {
		select {
		case job := <-f.jobs:
			f.opts.Paging(job)
		case <-f.ctx.Done():
			return
		}
	}
}

// ask has a reader call fn, and waits no longer than limit. That is counted in parts, so
// that a process that did not run for a while, as on a busy machine or a paused one, has
// lost one of them alone: it is no fault of the disk's.
func ask[T any](f *File, limit time.Duration, fn func() (T, error)) (T, error) {
	const parts = 4
	var v, late T
	var err error
	done, jobs, closed := make(chan struct{}), f.jobs, f.ctx.Done()
	job := func() { v, err = fn(); close(done) }
	tick := time.NewTicker(limit / parts)
	defer tick.Stop()
	for left := parts; left > 0; {
		select {
		case jobs <- job:
			jobs, closed = nil, nil // a reader has it
		case <-done:
			return v, err
		case <-closed:
			return late, ErrClosed
		case <-tick.C:
			left--
		}
	}
	return late, ErrTimeout
}

// fetch reads a history from the disk.
func (f *File) fetch(id tlsstate.Identity) (tlsstate.History, error) {
	if err := checkIdentity(id); err != nil {
		return tlsstate.History{}, err
	}
	h, err := ask(f, f.opts.ReadTimeout, func() (tlsstate.History, error) { return f.disk.get(id) })
	f.noteDamage(err)
	if errors.Is(err, tlsstate.ErrDamaged) {
		return tlsstate.History{}, nil // it is lost: the peer is new
	}
	return h, err
}

// noteDamage counts damaged reads and logs the first.
func (f *File) noteDamage(err error) {
	if !errors.Is(err, ErrDamaged) && !errors.Is(err, tlsstate.ErrDamaged) {
		return
	}
	f.table.count(func(s *Stats) { s.Damaged++ })
	if !f.damageLogged.Swap(true) {
		f.log.Error("damaged data in the history file; further damage is counted, not logged", "path", f.path, "error", err)
	}
}
