package store

import (
	"time"

	"tlsratchet/internal/loop"
)

// When the file is looked after: soon after a start, and then every hour.
const (
	choresFirst = time.Minute
	choresEvery = time.Hour
	choresRetry = time.Minute // at most
	// placeEvery is how often the file's place is looked at.
	placeEvery = time.Minute
)

// chores is the goroutine for work that can wait: snapshots, pruning, the records
// of a file that was set aside, and whether ours is in its place. A panic in it is
// an error: a bug there must not end the process.
func (f *File) chores() {
	f.rejoin()
	next := time.NewTimer(min(choresFirst, f.choresEvery()))
	defer next.Stop()
	place := time.NewTicker(placeEvery)
	defer place.Stop()
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-f.crowded:
			f.relieve()
		case <-place.C:
			if f.report(&f.place, f.inPlace()) {
				next.Reset(0) // for a snapshot
			}
		case <-next.C:
			f.lookAfter()
			next.Reset(f.choresEvery())
		}
	}
}

// relieve prunes. If nothing was forgotten, it waits before the next try: each
// newcomer over the cap requests one.
func (f *File) relieve() {
	if !f.table.crowded(f.opts.MaxIdentities) {
		return
	}
	if n, err := f.pruneAndLog(); n > 0 && err == nil {
		f.relieveDelay = 0
		return
	}
	f.relieveDelay = min(max(2*f.relieveDelay, time.Second), choresRetry)
	_ = f.pause(f.relieveDelay)
}

func (f *File) choresEvery() time.Duration {
	every := choresEvery
	if f.snapshots.Failing() || f.place.Failing() || len(f.salvage) > 0 {
		every /= 6
	}
	if f.opts.SnapshotEvery > 0 {
		every = min(every, f.opts.SnapshotEvery)
	}
	return every
}

func (f *File) lookAfter() {
	f.rejoin()
	if f.snapshotDue() {
		f.report(&f.snapshots, guarded(f.Snapshot))
	}
	if day := f.today(); day != f.agedOn {
		if _, err := f.pruneAndLog(); err == nil {
			f.agedOn = day
		}
	}
}

func (f *File) pruneAndLog() (n int, err error) {
	err = guarded(func() (err error) {
		n, err = f.prune()
		return err
	})
	f.report(&f.pruning, err)
	return n, err
}

const (
	// choresAhead is how many changes may wait while the chores make more.
	choresAhead = 5 * groupSize
	writerPause = 20 * time.Millisecond
)

// yield waits until the writer has caught up.
func (f *File) yield() error {
	for f.table.waiting() > min(choresAhead, f.opts.MaxPending/2) {
		if err := f.pause(writerPause); err != nil {
			return err
		}
	}
	return f.pause(0)
}

// pause waits, or returns ErrClosed.
func (f *File) pause(d time.Duration) error {
	if !loop.Pause(f.ctx, d) {
		return ErrClosed
	}
	return nil
}
