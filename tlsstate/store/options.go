package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"time"

	"tlsratchet/tlsstate"
)

// What may be wrong with a store, and what to do about it.
var (
	// ErrTimeout: the disk did not answer in time. Treat the peer as unknown.
	ErrTimeout = errors.New("history store: no answer in time")
	// ErrFuture: the change is dated later than tomorrow and was refused.
	// Nothing was kept; look at the clock.
	ErrFuture = errors.New("history store: dated later than tomorrow")
	// ErrInvalid: no such identity or history can exist. It is a mistake of
	// the caller's, or of the host that sent it.
	ErrInvalid = errors.New("history store: invalid")
	// ErrClosed: the store was used after Close.
	ErrClosed = errors.New("history store: closed")
	// ErrLocked: another process has the file. Only one can.
	ErrLocked = errors.New("in use by another process")
	// ErrNewerVersion: a newer tlsratchet wrote the file. It was left as it is;
	// run that one, or name another file.
	ErrNewerVersion = errors.New("written by a newer version")
	// ErrDamaged: the file is not, or no longer, what was written. When it
	// comes from Open, let OpenOrRecover have it; when it comes from a running
	// store, treat the peer as unknown, and start again when you can.
	ErrDamaged = errors.New("damaged history file")
)

// Store is a [File], a [Memory], or one that several hosts share: see the methods of
// File.
type Store interface {
	Load(tlsstate.Identity) (tlsstate.History, error)
	Update(id tlsstate.Identity, client netip.Addr, today tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error)
	All(start tlsstate.Identity) (iter.Seq2[tlsstate.Identity, tlsstate.History], func() error)
	Newest() tlsstate.Day
	Changes() uint64
	Len() int
	Stats() Stats
	Flush(context.Context) error
	Close() error
}

// Options are the limits of a [File]. The zero value means the defaults.
type Options struct {
	// CacheSize is how many histories the cache holds, at about 450 bytes
	// each. Default 50,000; at least 16.
	CacheSize int
	// MaxPending is how many changes may wait to be written before those of
	// strangers are dropped, at about 400 bytes each. Default 50,000. Other changes are dropped at
	// twice as many, and those of pinned identities never: it takes days to
	// make one.
	MaxPending int
	// MaxIdentities is how many identities the file may hold. Over it, the least
	// known and the heaviest networks' are forgotten. Default 2,000,000; at
	// least 100.
	MaxIdentities int
	// KeepDays returns for how many days an identity is kept that nobody sees:
	// it should be the pins' greatest age and the 448 days that a history looks
	// back. Default 628; less than 360 counts as 360.
	KeepDays func() int
	// SnapshotEvery is how old the newest snapshot may be. Two are kept.
	// Default 24 h; less than 0 for none.
	SnapshotEvery time.Duration
	// ReadTimeout bounds a read that misses the cache. Of a time in which the process
	// does not run, a quarter of it counts at most. Default 100 ms.
	ReadTimeout time.Duration
	// Paging calls work that may wait for pages of the file, which Go does not see as a
	// wait: its processor does nothing else meanwhile. Several goroutines call it at the
	// same time. nil calls the work alone.
	Paging func(work func())
	// LockTimeout is how long Open tries to get a file that another process
	// has. Default 500 ms.
	LockTimeout time.Duration
	// Logger gets one line when something fails for a time (writing, snapshots,
	// pruning, the file's place) and one when it works again, and one when damage
	// is met. Default: none.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	o.CacheSize = max(cmp.Or(o.CacheSize, 50_000), 16)
	o.MaxPending = cmp.Or(max(o.MaxPending, 0), 50_000)
	o.MaxIdentities = max(cmp.Or(o.MaxIdentities, 2_000_000), 100)
	if o.KeepDays == nil {
		o.KeepDays = func() int { return 628 }
	}
	o.SnapshotEvery = cmp.Or(o.SnapshotEvery, 24*time.Hour)
	o.ReadTimeout = cmp.Or(max(o.ReadTimeout, 0), 100*time.Millisecond)
	if o.Paging == nil {
		o.Paging = func(work func()) { work() }
	}
	o.LockTimeout = cmp.Or(max(o.LockTimeout, 0), 500*time.Millisecond)
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	return o
}

// Stats is what a store counted since it was opened.
type Stats struct {
	// Hits and Misses are reads answered from memory and from the disk.
	Hits, Misses uint64
	// Writes are records written, Commits the groups they went in, and
	// FailedCommits the groups that did not get to the disk and were kept.
	Writes, Commits, FailedCommits uint64
	// Dropped are changes that found no room. The next message of the same
	// peer makes them again.
	Dropped uint64
	// Damaged are the damaged records found at open, and what was met since:
	// one record may count twice.
	Damaged uint64
	// Future are changes refused by ErrFuture.
	Future uint64
	// Pruned are identities forgotten because they were too old, or too many.
	Pruned uint64
	// Snapshots are those that were taken.
	Snapshots uint64
	// Refused are newcomers that Update did not keep, because their network had
	// brought its 64 of the day.
	Refused uint64
	// Pending is how many changes wait to be written now.
	Pending int
	// Trouble states what is wrong with the file now, a line each; "" if all is
	// well. What was lost at the start is stated for a day.
	Trouble string
}

// refused counts a change that grown refused.
func (s *Stats) refused(err error) {
	if errors.Is(err, ErrFuture) {
		s.Future++
	}
}

// grown returns cur joined with what grow makes of it, or says why it can't be
// kept. Only a change can be refused: after the clock was set back, what is
// there already may be dated later than tomorrow.
func grown(cur tlsstate.History, today tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	next := tlsstate.Merge(cur, grow(cur))
	if next == cur {
		return cur, nil
	}
	if d := next.Newest(); int(d) > int(today)+1 && d > cur.Newest() {
		return cur, fmt.Errorf("%w: %s, today is %s", ErrFuture, d, today)
	}
	if err := next.Valid(); err != nil {
		return cur, fmt.Errorf("%w history: %w", ErrInvalid, err)
	}
	return next, nil
}

// pinned reports whether a history holds what no message could make again: a
// pin, or an operator's act.
func pinned(h *tlsstate.History) bool {
	kept := h.Epoch != 0 || h.CertPin.Formed != 0 || h.CertPin.Void != 0
	for _, p := range h.Pins {
		kept = kept || p.Formed != 0 || p.Void != 0
	}
	return kept
}

// stranger reports whether a history is of one day and without a pin.
func stranger(h *tlsstate.History) bool { return h.First == h.Last && !pinned(h) }
