package store

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tlsratchet/internal/loop"
	"tlsratchet/internal/trouble"
	"tlsratchet/tlsstate"
)

// File keeps histories in a file. It is safe for concurrent use; one process
// at a time can have the file. Call Close when done.
type File struct {
	path  string
	opts  Options
	log   *slog.Logger
	disk  disk
	table *table

	jobs    chan func()     // to the readers
	readers sync.WaitGroup  // running, and the chores
	wake    chan struct{}   // to the writer: something is pending
	full    chan struct{}   // to the writer: a whole group is
	flushes chan chan error // to the writer
	crowded chan struct{}   // to the chores: more identities than the cap
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	done    chan struct{} // closed when all goroutines have ended
	ended   error         // of the writer, once done is closed

	damageLogged  atomic.Bool
	refusalLogged atomic.Uint32 // the day
	snapshotting  sync.Mutex

	made   os.FileInfo // of the file that was opened, nil if that isn't known
	lost   string      // until it was opened, in words
	opened time.Time

	// Of the writer alone:
	writing trouble.State
	delay   time.Duration // until the next try; 0 when all is well

	// Of the chores alone:
	agedOn, pruningLogged tlsstate.Day
	relieveDelay          time.Duration
	salvage               []string // files whose records are to be joined

	rejoining, place, snapshots, pruning trouble.State
}

// disk is what a [File] needs of the file under it. Tests put a stuck or a
// full one in its place. Only put and close are never called at the same time.
type disk interface {
	// get returns the zero History for an identity that isn't there. A
	// damaged record is an error that wraps [tlsstate.ErrDamaged].
	get(id tlsstate.Identity) (tlsstate.History, error)
	// put writes all of a group or nothing.
	put(group []entry) error
	// scan returns the next n records from the key on. If some of them were damaged,
	// the error wraps [tlsstate.ErrDamaged].
	scan(key []byte, n int) (batch, error)
	close() error
}

// batch is the intact ones of some records, and the key to go on with: nil at the
// end.
type batch struct {
	found []entry
	next  []byte
}

// Open opens the file, or makes it with mode 0600 in a folder that must exist.
// It reads the whole file once. Errors: [ErrLocked], [ErrNewerVersion] and
// [ErrDamaged], where the file was left as it is, or those of the system. A missing
// file whose snapshots exist counts as damaged.
func Open(path string, opts Options) (*File, error) {
	opts = opts.withDefaults()
	d, found, err := openBolt(path, opts.LockTimeout, func(f *os.File, found census, err error) (*os.File, census, error) {
		if err == nil && found.fresh && slices.ContainsFunc(snapshots(path), exists) {
			if info, serr := f.Stat(); serr == nil && info.Size() == 0 {
				_ = os.Remove(path) // made a moment ago
			}
			err = fmt.Errorf("%w: it is missing or empty, and there is a snapshot of it; to begin anew, remove its snapshots", ErrDamaged)
		}
		return f, found, err
	})
	if err != nil {
		return nil, fmt.Errorf("history file %s: %w", path, err)
	}
	logDamage(path, opts.Logger, found)
	return start(path, opts, d, found, rescue{})
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

const damagedRecords = "history file has damaged records: the histories of these peers are lost"

func logDamage(path string, log *slog.Logger, found census) {
	if found.damaged > 0 {
		log.Error(damagedRecords,
			"path", path, "damaged", found.damaged, "intact", found.records)
	}
}

// start runs a File on a disk of which the census is known, after it was rescued
// so, or not at all.
func start(path string, opts Options, d disk, found census, r rescue) (*File, error) {
	t, err := newTable(opts)
	if err != nil {
		return nil, err
	}
	t.known, t.newest, t.stats.Damaged = found.records, found.newest, uint64(found.damaged)
	f := &File{
		path: path, opts: opts, log: opts.Logger, disk: d, table: t, salvage: r.salvage, lost: r.lost, opened: time.Now(),
		jobs:    make(chan func()),
		wake:    make(chan struct{}, 1),
		full:    make(chan struct{}, 1),
		flushes: make(chan chan error),
		crowded: make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.made, _ = os.Stat(path)
	f.writing = trouble.State{Begins: "history file can't be written: changes are kept in memory and tried again", Ends: "history file is written again"}
	f.rejoining = trouble.State{Begins: "history is incomplete: a copy of it can't be joined; tried again", Ends: "history no longer waits for a copy"}
	f.place = trouble.State{
		Begins: "history file was deleted or replaced while in use: what is learned goes only to its snapshot; restart tlsratchet, which goes on with the file that is there, or else with the snapshot",
		Ends:   "history file is in its place again",
	}
	f.snapshots = trouble.State{Begins: "no snapshot of the history file: if it is damaged, more will be lost", Ends: "snapshots of the history file are taken again"}
	f.pruning = trouble.State{Begins: "pruning the history file failed; it will be retried", Ends: "the history file is pruned again"}
	for range readers {
		f.readers.Go(f.read)
	}
	f.readers.Go(f.chores)
	f.crowd()
	go f.write()
	return f, nil
}

// Load returns the history of an identity, or the zero History if it is not
// known or its record was damaged. On an error treat the peer as unknown:
// [ErrTimeout], [ErrDamaged], [ErrInvalid] or [ErrClosed].
func (f *File) Load(id tlsstate.Identity) (tlsstate.History, error) {
	h, _, err := f.current(id)
	return h, err
}

// current returns the history of id, and the count of changes for a swap.
func (f *File) current(id tlsstate.Identity) (tlsstate.History, uint64, error) {
	h, at, ok := f.table.get(id)
	if ok {
		return h, at, nil
	}
	h, err := f.fetch(id)
	if err != nil {
		return h, at, err
	}
	return f.table.fill(id, h, at), at, nil
}

// Update joins the history of an identity with what grow makes of it and
// returns what is known now, which is seen at once and written a moment later. grow
// must be pure; it may be called more than once, when others change the same
// history. Nothing is written if nothing changed. today is a UTC day. On an
// error, those of Load or [ErrFuture], nothing was kept.
//
// client is the address whose session teaches this, the zero Addr where it comes
// from elsewhere: an operator, an import, another host. Of new identities no more
// than 64 of a kind a day from one /24, or /48 of IPv6 (48 from one /64), are kept; identities that are known
// are never affected. What was not kept is counted, and no error: the history from before is returned.
func (f *File) Update(id tlsstate.Identity, client netip.Addr, today tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	return f.update(id, sourceOf(client, today), grow)
}

func (f *File) update(id tlsstate.Identity, by source, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	for {
		cur, at, err := f.current(id)
		if err != nil {
			return cur, err
		}
		next, err := grown(cur, by.today, grow)
		if err != nil {
			f.table.count(func(s *Stats) { s.refused(err) })
			return cur, fmt.Errorf("%s: %w", id, err)
		}
		if next == cur {
			return cur, nil
		}
		how, waiting := f.table.swap(id, cur, next, at, by)
		switch how {
		case swapped:
			f.signal(waiting)
			if cur == (tlsstate.History{}) {
				f.crowd()
			}
			return next, nil
		case refused:
			f.logRefusal(by)
			return cur, nil
		case dropped:
			return cur, nil
		case closed:
			return cur, ErrClosed
		}
	}
}

// crowd wakes the chores if there are more identities than the cap.
func (f *File) crowd() {
	if f.table.crowded(f.opts.MaxIdentities) {
		loop.Wake(f.crowded)
	}
}

// logRefusal logs the first refusal of a day.
func (f *File) logRefusal(by source) {
	if f.refusalLogged.Swap(uint32(by.today)) != uint32(by.today) {
		f.log.Warn("more newcomers from one network than the daily limit (64 of a kind, of them 48 from one /64 of IPv6); further ones today are counted, not logged",
			"network", by.from.String(), "refused", f.Stats().Refused)
	}
}

// Newest returns the newest day in any history, 0 if there is none.
func (f *File) Newest() tlsstate.Day { return f.table.now().newest }

// Changes counts changes of histories since Open: while it is the same, they are.
func (f *File) Changes() uint64 { return f.table.now().changes }

// Len returns how many identities have a history, tombstones included.
func (f *File) Len() int { return f.table.now().known }

// lostFor is how long what was lost before Open is stated.
const lostFor = 24 * time.Hour

// Stats returns what was counted since Open.
func (f *File) Stats() Stats {
	s := f.table.now().stats
	if f.lost != "" && time.Since(f.opened) < lostFor {
		s.Trouble = f.lost + "\n"
	}
	for _, t := range []*trouble.State{&f.rejoining, &f.place, &f.writing, &f.snapshots, &f.pruning} {
		if t.Failing() {
			s.Trouble += t.Begins + "\n"
		}
	}
	return s
}

// Flush writes what is pending. It returns when that is on the disk, when it
// failed (and is kept for later), or with the error of ctx.
func (f *File) Flush(ctx context.Context) error {
	return loop.Ask(ctx, f.flushes, f.ctx.Done(), ErrClosed)
}

// closeTimeout bounds Close when the disk is stuck, or a longer ReadTimeout does.
const closeTimeout = 5 * time.Second

// Close writes what is pending and closes the file. An error means that not all
// changes were written; [ErrTimeout] means that the disk did not answer within
// 5 s, or a longer ReadTimeout. In both cases the store is closed, and closing it again is harmless.
func (f *File) Close() error {
	f.table.close()
	f.cancel()
	select {
	case <-f.done:
		return f.ended
	case <-time.After(max(closeTimeout, f.opts.ReadTimeout)):
		return fmt.Errorf("closing history file %s: %w", f.path, ErrTimeout)
	}
}
