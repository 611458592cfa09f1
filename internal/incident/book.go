package incident

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/statefile"
	"tlsratchet/tlsstate"
)

// Options are what a [Book] works with.
type Options struct {
	// File is the file of the incidents, for one book at a time; the zero File
	// means memory only.
	File statefile.File
	// Changed is called for every change, in order, off the mail path. It may read the
	// book, but not change it, and must not block for long: events wait meanwhile in a
	// bounded queue.
	Changed func(Change)
	// Log gets a line when the file can't be written, and when it can again.
	Log *slog.Logger
}

// Book holds the incidents and the tally. Its methods may be called at the same
// time. Call Close when done.
type Book struct {
	o       Options
	tally   tally
	events  chan *ratchet.Event
	dropped atomic.Uint64

	reporting sync.Mutex // keeps the changes in order, while mu is free
	mu        sync.Mutex
	ledger    *ledger

	save    func(saved) error // tests put a failing one in its place
	saved   marks             // of the writer
	ctx     context.Context   // ends when it closes
	stop    context.CancelFunc
	folded  chan struct{}
	written chan struct{}
	ended   error // of the writer, once written is closed
}

const (
	// backlog is how many events may wait.
	backlog = 4096
	// tickEvery is the time between two looks at what time changes.
	tickEvery = time.Minute
	// closeTimeout bounds Close when the disk is stuck.
	closeTimeout = 5 * time.Second
)

// Open returns a book with what its file holds. A damaged file is renamed, with
// a line in the log, and a new one made of what can be read in it. Errors:
// [ErrNewerVersion], or those of the system. Mail doesn't need a book: continue
// with one in memory, and log that.
func Open(o Options) (*Book, error) {
	b := newBook(o)
	damaged, err := b.read()
	if err == nil && damaged != nil {
		err = b.setAside(damaged)
	}
	if err != nil {
		return nil, fmt.Errorf("open the file of incidents: %w", err)
	}
	if o.File == (statefile.File{}) {
		b.ledger.last = clockNumber()
	}
	_ = b.writeChanged(false) // before a number is given; the writer logs what fails
	b.start()
	return b, nil
}

// Read returns the book of a file that no other book has open, to look at: nothing
// is written, and no incident closes. It need not be closed. Damaged lines are left
// out, with a line in the log. Errors are those of [Open].
func Read(o Options) (*Book, error) {
	b := newBook(o)
	damaged, err := b.read()
	if err != nil {
		return nil, fmt.Errorf("read the file of incidents: %w", err)
	}
	if damaged != nil {
		b.o.Log.Warn("damaged lines in the file of incidents are left out", "damaged", len(damaged), "error", damaged[0])
	}
	return b, nil
}

func newBook(o Options) *Book {
	b := &Book{
		o: o, ledger: newLedger(maxIncidents),
		save:   func(s saved) error { return s.write(o.File) },
		events: make(chan *ratchet.Event, backlog),
		saved:  marks{at: time.Now()},
		folded: make(chan struct{}), written: make(chan struct{}),
	}
	b.ctx, b.stop = context.WithCancel(context.Background())
	return b
}

func (b *Book) start() {
	go b.fold()
	go b.write()
}

// OnEvent counts an event and queues it if it concerns an incident. It is for
// the mail path: it never blocks, and for a message that concerns no incident it
// costs a count and a look-up, and allocates nothing. Where the queue is full,
// the event is dropped and counted.
func (b *Book) OnEvent(e ratchet.Event) {
	if !b.count(&e) {
		return
	}
	select {
	case b.events <- own(e):
	default:
		b.dropped.Add(1)
	}
}

// count counts an event, and reports whether it concerns an incident.
func (b *Book) count(e *ratchet.Event) bool {
	v := &e.Decision.Verdict
	if v.Identity.Kind != tlsstate.Destination { // the tally is of inbound mail
		b.tally.add(e.Session.At, e.Session.Level, v.Outcome)
	}
	return v.Outcome == tlsstate.Downgraded || changesPin(e.Decision) || meets(v) && b.ledger.watch.has(e.Session.Peer.Address.Name)
}

// Dropped returns how many events were dropped because the queue was full.
func (b *Book) Dropped() uint64 { return b.dropped.Load() }

// Unpinned closes the incident with that number, if it is open: an operator
// dropped its pin.
func (b *Book) Unpinned(id uint64, now time.Time) {
	b.do(func(l *ledger) []Change { return l.unpinned(id, now.UTC()) })
}

// do changes the ledger and reports what changed.
func (b *Book) do(fn func(*ledger) []Change) {
	b.reporting.Lock()
	defer b.reporting.Unlock()
	b.mu.Lock()
	changes := fn(b.ledger)
	b.mu.Unlock()
	for _, c := range changes {
		b.o.Changed(c)
	}
}

// OpenIncidents returns the incidents that are open, the newest first.
func (b *Book) OpenIncidents() []Incident { return b.list((*Incident).IsOpen) }

// All returns all incidents, the newest first.
func (b *Book) All() []Incident { return b.list(func(*Incident) bool { return true }) }

// Of returns the incidents of an identity, the newest first.
func (b *Book) Of(id tlsstate.Identity) []Incident {
	return b.list(func(i *Incident) bool { return i.Identity == id })
}

func (b *Book) list(wanted func(*Incident) bool) []Incident {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []Incident
	for _, i := range slices.Backward(b.ledger.all) {
		if wanted(i) {
			all = append(all, i.clone())
		}
	}
	return all
}

// Count returns how many incidents are open.
func (b *Book) Count() (open int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, i := range b.ledger.all {
		if i.IsOpen() {
			open++
		}
	}
	return open
}

// Tally returns the counts of the 64 days that end with today.
func (b *Book) Tally(today tlsstate.Day) Tally {
	return slices.DeleteFunc(b.tally.all(), func(d DayCounts) bool { return d.Day > today || d.Day+tlsstate.Window <= today })
}

// fold is the goroutine that processes events. After stop it processes what
// waits.
func (b *Book) fold() {
	defer close(b.folded)
	ticks := time.NewTicker(tickEvery)
	defer ticks.Stop()
	for stop := b.ctx.Done(); stop != nil || len(b.events) > 0; {
		select {
		case e := <-b.events:
			b.do(func(l *ledger) []Change { return l.onEvent(e) })
		case now := <-ticks.C:
			b.do(func(l *ledger) []Change { return l.tick(now.UTC()) })
		case <-stop:
			stop = nil
		}
	}
}

// Close processes and writes what waits, and closes the file. An error means
// that not all was written; the book is closed either way, and closing it again
// is harmless.
func (b *Book) Close() error {
	b.stop()
	select {
	case <-b.written:
		return b.ended
	case <-time.After(closeTimeout):
		return errors.New("close the file of incidents: the disk does not answer")
	}
}
