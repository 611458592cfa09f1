package incident

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// disk is what a [Book] needs of its file. Tests put a failing one in its
// place.
type disk interface {
	// write writes all of a batch or nothing.
	write(batch) error
	close() error
}

// Options are what a [Book] works with.
type Options struct {
	// Path is the file that keeps the incidents; see [PathFor]. "" keeps them
	// in memory alone.
	Path string
	// Changed, if not nil, is told of every change, in their order and off the
	// mail path, with no lock held. It must not block for long: what comes
	// meanwhile waits in a bounded queue.
	Changed func(Change)
	// Log gets a line when the file can't be written, and when it can again.
	// Default: none.
	Log *slog.Logger
}

// Book keeps incidents and the tally. Its methods may be called at the same
// time. Call Close when done.
type Book struct {
	changed func(Change)
	log     *slog.Logger
	tally   tally
	watch   *watch
	notes   chan note
	dropped atomic.Uint64

	mu     sync.Mutex
	ledger *ledger

	disk    disk // nil for memory alone
	syncs   chan chan struct{}
	stop    chan struct{}
	folded  chan struct{}
	written chan struct{}
	closing sync.Once
	ended   error // of the writer, once written is closed
}

const (
	// backlog is how many events may wait to be folded.
	backlog = 4096
	// tickEvery is how often time is looked at.
	tickEvery = time.Minute
	// closeTimeout bounds Close when the disk is stuck.
	closeTimeout = 5 * time.Second
)

// Open returns a book with what its file holds. A file that is damaged is set
// aside, with a line in the log, and a new one made: no decision rests on it.
// Errors: [ErrLocked], [ErrNewerVersion], or those of the system. Mail doesn't
// need a book: go on with one in memory, and say so.
func Open(o Options) (*Book, error) {
	b := newBook(o)
	if o.Path != "" {
		if err := b.read(o.Path); err != nil {
			return nil, fmt.Errorf("open the incidents %s: %w", o.Path, err)
		}
	}
	b.start()
	return b, nil
}

func newBook(o Options) *Book {
	b := &Book{
		changed: o.Changed, log: o.Log,
		notes: make(chan note, backlog), ledger: newLedger(maxIncidents),
		syncs: make(chan chan struct{}), stop: make(chan struct{}), folded: make(chan struct{}), written: make(chan struct{}),
	}
	b.watch = b.ledger.watch
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if b.changed == nil {
		b.changed = func(Change) {}
	}
	return b
}

func (b *Book) start() {
	go b.fold()
	go b.write()
}

func (b *Book) read(path string) error {
	f, found, err := openFile(path)
	if err != nil {
		return err
	}
	if found.aside != "" {
		b.log.Error("the file of incidents was damaged: it was set aside, and a new one begun", "path", path, "aside", found.aside)
	}
	if len(found.lost) > 0 {
		b.log.Error("the file of incidents has damaged records: they are lost", "path", path, "lost", len(found.lost), "intact", len(found.incidents))
	}
	b.disk = f
	for _, i := range found.incidents {
		b.ledger.add(i)
	}
	for _, id := range found.lost {
		b.ledger.dirty[id] = struct{}{}
	}
	b.tally.restore(found.tally)
	return nil
}

// Take takes an event into account. It is made for the mail path: it never
// blocks, and for a message that no incident is about it costs a count and a
// look-up, and allocates nothing. What finds no room is dropped and counted.
func (b *Book) Take(e ratchet.Event) {
	v := &e.Decision.Verdict
	b.tally.add(e.Session.At, e.Session.Level, v.Outcome)
	if !opens(v) && !notable(e.Decision) && !(meets(v) && b.watch.has(e.Session.Peer.Address)) {
		return
	}
	select {
	case b.notes <- newNote(&e):
	default:
		b.dropped.Add(1)
	}
}

// Dropped returns how many events found no room.
func (b *Book) Dropped() uint64 { return b.dropped.Load() }

// Tick does what time alone leads to: incidents close, and people are reminded
// of mail that waits. The book does so by itself every minute.
func (b *Book) Tick(now time.Time) {
	b.do(func(l *ledger) []Change { return l.tick(now.UTC()) })
}

// Unpinned closes the incident with that number, if it is open: an operator
// dropped the pin that it is about.
func (b *Book) Unpinned(id uint64, now time.Time) {
	b.do(func(l *ledger) []Change { return l.unpinned(id, now.UTC()) })
}

// do changes the ledger and tells what changed.
func (b *Book) do(fn func(*ledger) []Change) {
	b.mu.Lock()
	changes := fn(b.ledger)
	b.mu.Unlock()
	for _, c := range changes {
		b.changed(c)
	}
}

// Open returns the incidents that are open, the newest first.
func (b *Book) Open() []Incident { return b.list((*Incident).IsOpen) }

// All returns all incidents, the newest first.
func (b *Book) All() []Incident { return b.list(func(*Incident) bool { return true }) }

// Get returns the incidents of an identity, the newest first.
func (b *Book) Get(id tlsstate.Identity) []Incident {
	return b.list(func(i *Incident) bool { return i.Identity == id })
}

func (b *Book) list(wanted func(*Incident) bool) []Incident {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []Incident
	for _, i := range b.ledger.all {
		if wanted(i) {
			all = append(all, i.clone())
		}
	}
	slices.SortFunc(all, func(x, y Incident) int { return cmp.Compare(y.ID, x.ID) })
	return all
}

// OpenCount returns how many incidents are open, and how many there are.
func (b *Book) OpenCount() (open, all int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, i := range b.ledger.all {
		if i.IsOpen() {
			open++
		}
	}
	return open, len(b.ledger.all)
}

// Tally returns the counts of the 64 days that end with today.
func (b *Book) Tally(today tlsstate.Day) Tally { return b.tally.read(today) }

// Sync returns once all events that were taken before are folded and told.
func (b *Book) Sync() {
	done := make(chan struct{})
	select {
	case b.syncs <- done:
		<-done
	case <-b.folded:
	}
}

// fold is the goroutine that folds events, until stop.
func (b *Book) fold() {
	defer close(b.folded)
	ticks := time.NewTicker(tickEvery)
	defer ticks.Stop()
	for {
		select {
		case n := <-b.notes:
			b.do(func(l *ledger) []Change { return l.take(&n) })
		case now := <-ticks.C:
			b.Tick(now)
		case done := <-b.syncs:
			b.drain()
			close(done)
		case <-b.stop:
			b.drain()
			return
		}
	}
}

// drain folds what waits.
func (b *Book) drain() {
	for {
		select {
		case n := <-b.notes:
			b.do(func(l *ledger) []Change { return l.take(&n) })
		default:
			return
		}
	}
}

// Close folds and writes what waits, and closes the file. An error says that
// not all could be written; the book is closed either way, and closing it
// again is harmless.
func (b *Book) Close() error {
	b.closing.Do(func() { close(b.stop) })
	select {
	case <-b.written:
		return b.ended
	case <-time.After(closeTimeout):
		return errors.New("closing the incidents: the disk does not answer")
	}
}
