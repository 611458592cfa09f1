package shared

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/semaphore"

	"tlsratchet/internal/loop"
	"tlsratchet/internal/trouble"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// Store is a host's local store that shares what it knows. It is safe for
// concurrent use. Call Close when done.
//
// Load, Newest, Len, Stats and All are those of the local store: what this host
// knows. For what all hosts know see [Whole]; [Store.Sharing] is about the server.
type Store struct {
	local
	opts Options

	server  atomic.Pointer[server] // nil until the first connection
	answers health                 // messages may ask
	takes   health                 // it takes changes
	locals  health                 // of the local store, as far as changes are read from it
	changed *changed
	// recent is when the server was last asked for an identity. It forgets the
	// least recently asked for: they are asked for once more.
	recent *lru.Cache[tlsstate.Identity, time.Time]

	asking  *semaphore.Weighted // those that ask at once
	wake    chan struct{}       // to the loop: something changed
	suspect chan struct{}       // to the loop: an answer was late
	flushes chan chan error
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	done    chan struct{} // closed when the loop has ended
	closing sync.Once
	ended   error // of the local store

	// Of the loop alone:
	beaten time.Time     // the last good heartbeat
	delay  time.Duration // until the next try; 0 when all is well
	seen   seen
	from   tlsstate.Identity // while everything is being sent: the next

	away, commands, asked, late, unasked, written, conflicts atomic.Uint64
	undecodable, refused, sweeps, evicted, panics            atomic.Uint64
	sweeping, mistakeLogged                                  atomic.Bool
}

type local = store.Store

// askers is how many messages may ask at once; one more is answered from the
// local memory alone.
const askers = 64

// recentSize is for about 8 MB.
const recentSize = 50_000

// New returns a store that shares what local, which is now its own, knows. It
// doesn't wait for the server; an error says that Options.URL is wrong, and
// leaves local open.
func New(local store.Store, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	check := opts
	check.Password = nil
	if _, err := clientOption(&check); err != nil {
		return nil, err
	}
	s := &Store{
		local: local, opts: opts,
		answers: health{State: trouble.State{Begins: "the shared server does not answer: verdicts come from the local memory, and changes are kept", Ends: "the shared server answers again"}},
		takes:   health{State: trouble.State{Begins: "the shared server takes no changes: they are kept", Ends: "the shared server takes changes again"}},
		locals:  health{State: trouble.State{Begins: "changes not sent to the shared server, as they can't be read here; they are kept and sent later", Ends: "changes can be read again"}},
		changed: newChanged(opts.MaxChanged),
		asking:  semaphore.NewWeighted(askers),
		wake:    make(chan struct{}, 1),
		suspect: make(chan struct{}, 1),
		flushes: make(chan chan error),
		done:    make(chan struct{}),
	}
	s.recent, _ = lru.New[tlsstate.Identity, time.Time](recentSize) // fails for no size alone
	s.ctx, s.cancel = context.WithCancel(context.Background())
	go s.loop()
	return s, nil
}

func (s *Store) today() tlsstate.Day { return tlsstate.DayOf(s.opts.Now()) }

// Update is as [store.File.Update]; a change is sent a moment later.
func (s *Store) Update(id tlsstate.Identity, client netip.Addr, today tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	h, changed, err := s.update(id, client, today, grow)
	if changed {
		s.note(id)
	}
	return h, err
}

// update updates the local store, and reports whether that changed the history.
func (s *Store) update(id tlsstate.Identity, client netip.Addr, today tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (after tlsstate.History, changed bool, err error) {
	var before tlsstate.History
	after, err = s.local.Update(id, client, today, func(cur tlsstate.History) tlsstate.History {
		before = cur
		return grow(cur)
	})
	return after, err == nil && after != before, err
}

// note has the loop send histories.
func (s *Store) note(ids ...tlsstate.Identity) {
	for _, id := range ids {
		if shareable(id) && s.changed.add(id) {
			loop.Wake(s.wake)
		}
	}
}

// Flush writes what is pending to the local store, and sends what changed. An
// error that wraps [ErrAway] means that the server did not get all of it: the
// rest is kept and sent later.
func (s *Store) Flush(ctx context.Context) error {
	if err := s.local.Flush(ctx); err != nil {
		return err
	}
	err := loop.Ask(ctx, s.flushes, s.ctx.Done(), store.ErrClosed)
	if err != nil && err == ctx.Err() {
		return errors.Join(ErrAway, err)
	}
	return err
}

// Close sends what changed if the server answers, for a second at most, and
// closes the local store. Its error is the local store's; closing again is
// harmless. What was not sent is sent after the next start, as all is then.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.cancel()
		<-s.done
		_ = s.asking.Acquire(context.Background(), askers) // those that ask are over soon, and no more begin
		s.ended = s.local.Close()
	})
	return s.ended
}

// Sharing returns what was counted about the server.
func (s *Store) Sharing() Stats {
	return Stats{
		Answering: s.answers.well.Load(), Taking: s.takes.well.Load(), Away: s.away.Load(),
		Commands: s.commands.Load(), Asked: s.asked.Load(), Late: s.late.Load(), Unasked: s.unasked.Load(),
		Written: s.written.Load(), Conflicts: s.conflicts.Load(),
		Undecodable: s.undecodable.Load(), Refused: s.refused.Load(), Evicted: s.evicted.Load(),
		Sweeps: s.sweeps.Load(), Panics: s.panics.Load(), Changed: s.changed.len(), Sweeping: s.sweeping.Load() || s.changed.all.Load(),
	}
}

// logMistake logs the first record that was left alone.
func (s *Store) logMistake(err error) {
	if !s.mistakeLogged.Swap(true) {
		s.opts.Logger.Warn("a record on the shared server was left alone; further ones are counted, not logged", "error", err)
	}
}
