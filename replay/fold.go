package replay

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"tlsratchet/maillog"
	"tlsratchet/tlsstate"
)

// Log is a log that was read, folded by day.
type Log struct {
	stats    maillog.Stats
	cells    map[key]*cell
	failures map[failureKey]span
	reasons  map[maillog.Reason]int
}

// key is what sessions of one day have in common.
type key struct {
	client        *maillog.Client
	listener      *maillog.Listener
	security      *tlsstate.Security
	day           tlsstate.Day
	authenticated bool
	unknown       bool
}

// cell is the sessions of a key: when the first and the last began to send, in
// seconds, and how many there were.
type cell struct {
	key
	first, last        int64
	sessions, messages int
	// most is how many messages one session had. Unlike the counts it doesn't
	// grow if the log is there twice.
	most int
}

// repeated tells whether there was more than one message.
func (c *cell) repeated() bool { return c.most > 1 || c.last > c.first }

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
		cells:    make(map[key]*cell),
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
	at := s.At.Unix()
	k := key{
		client: s.Client, listener: s.Listener, security: s.Security, day: tlsstate.DayOf(s.At),
		authenticated: s.Authenticated, unknown: s.Unknown != "",
	}
	if k.unknown {
		l.reasons[s.Unknown]++
	}
	c := l.cells[k]
	if c == nil {
		c = &cell{key: k, first: at, last: at}
		l.cells[k] = c
	}
	c.first, c.last = min(c.first, at), max(c.last, at)
	c.most = max(c.most, s.Messages)
	c.sessions++
	c.messages += s.Messages
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

// sorted returns the cells in the order of time. At the same second the better
// encrypted comes first, and then the order is any, but always the same.
func (l *Log) sorted() []*cell {
	all := make([]*cell, 0, len(l.cells))
	for _, c := range l.cells {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *cell) int {
		if c := cmp.Compare(a.first, b.first); c != 0 {
			return c
		}
		return cmp.Or(
			cmp.Compare(b.security.Level, a.security.Level),
			strings.Compare(a.client.Addr, b.client.Addr),
			strings.Compare(a.client.Name, b.client.Name),
			strings.Compare(a.listener.Host, b.listener.Host),
			strings.Compare(a.listener.Service, b.listener.Service),
			strings.Compare(a.security.Protocol, b.security.Protocol),
			strings.Compare(a.security.Cipher, b.security.Cipher),
			compareBool(a.security.Certificate, b.security.Certificate),
			compareBool(a.authenticated, b.authenticated),
			compareBool(a.unknown, b.unknown),
		)
	})
	return all
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
