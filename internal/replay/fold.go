package replay

import (
	"context"

	"tlsratchet/internal/maillog"
	"tlsratchet/tlsstate"
)

// Log is a log that was read, folded by day.
type Log struct {
	stats    maillog.Stats
	cells    cells
	failures map[failureKey]span
	reasons  map[maillog.Reason]int
}

// failureKey is an address on a day; its handshakes failed within a span.
type failureKey struct {
	addr string
	day  tlsstate.Day
}

type span struct{ first, last int64 }

// maxFailures bounds what is remembered of failed handshakes.
const maxFailures = 1 << 20

// Read reads the logs; see [maillog.Read] for the errors.
func Read(ctx context.Context, sources []maillog.Source, o maillog.Options) (*Log, error) {
	l := &Log{
		cells:    newCells(),
		failures: make(map[failureKey]span),
		reasons:  make(map[maillog.Reason]int),
	}
	var err error
	l.stats, err = maillog.Read(ctx, sources, o, maillog.Sink{Session: l.session, Failure: l.failure})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Stats returns what the log held.
func (l *Log) Stats() maillog.Stats { return l.stats }

func (l *Log) session(s *maillog.Session) {
	if s.Unknown != "" {
		l.reasons[s.Unknown]++
	}
	at := s.At.Unix()
	l.cells.of(key{
		client: l.cells.client(s.Client),
		kind:   l.cells.kind(kind{s.Listener, s.Security, s.Authenticated, s.Unknown != ""}),
		day:    tlsstate.DayOf(s.At),
	}, at).add(at, uint32(s.Messages))
}

func (l *Log) failure(f *maillog.Failure) {
	at := f.At.Unix()
	k := failureKey{string(f.Addr), tlsstate.DayOf(f.At)}
	s, known := l.failures[k]
	switch {
	case known:
		l.failures[k] = span{min(s.first, at), max(s.last, at)}
	case len(l.failures) < maxFailures:
		l.failures[k] = span{at, at}
	}
}

// failedBefore tells whether a handshake of the address failed within the hour
// before, or else before and after on the same day.
func (l *Log) failedBefore(addr string, at int64, day tlsstate.Day) bool {
	s, ok := l.failures[failureKey{addr, day}]
	return ok && s.first <= at && s.last >= at-3600
}
