package shared

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valkey-io/valkey-go"
)

// seen is what is known of the server: by it is noticed that it lost
// something.
type seen struct {
	generation string
	runs       map[string]uint64 // of the masters, with what they evicted
	evicting   bool
	evicted    time.Time     // when keys were last seen to be
	pause      time.Duration // how long not, for everything to be sent
}

// errSlow: the server answers, but too late for messages to wait for it.
var errSlow = errors.New("too slow for messages to wait for")

// beat asks how the server is. Everything is sent when it may have lost
// something: its generation is gone or another; another process answers, as
// after a restart from an old file or a failover to a replica that was behind;
// or it stopped evicting keys.
func (l *loop) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.opts.reply())
	defer cancel()
	v, key := l.server.Load(), l.opts.Prefix+"generation"
	began := time.Now()
	found, err := v.get(ctx, []string{key})
	took := time.Since(began)
	if err != nil {
		return err
	}
	generation := first(found)
	if generation == "" {
		if generation, err = v.mark(ctx, key); err != nil {
			return err
		}
	}
	masters, complete := v.masters(ctx)
	l.compare(generation, masters, complete)
	if took > l.opts.Timeout {
		return errSlow
	}
	return nil
}

// compare notices what the server may have lost since the last time.
func (l *loop) compare(generation string, masters []node, complete bool) {
	lost := generation != "" && generation != l.seen.generation
	evicted := uint64(0)
	runs := make(map[string]uint64)
	if !complete { // some may only be silent
		for run, n := range l.seen.runs {
			runs[run] = n
		}
	}
	for _, m := range masters {
		before, known := l.seen.runs[m.run]
		lost = lost || !known
		if known && m.evicted > before {
			evicted += m.evicted - before
		}
		runs[m.run] = m.evicted
	}
	l.seen.runs = runs
	if generation != "" {
		l.seen.generation = generation
	}
	if l.evictions(evicted) || lost {
		l.changed.all.Store(true)
	}
}

// maxPause is how long at most a server must not have evicted for everything to
// be sent again. One that is too small for it evicts again by that, so that
// each time is later than the last.
const maxPause = 10 * time.Minute

// evictions reports whether keys were evicted and the eviction has ended.
func (l *loop) evictions(n uint64) (over bool) {
	l.evicted.Add(n)
	quiet := time.Since(l.seen.evicted)
	switch {
	case n > 0:
		if quiet > 6*maxPause {
			l.seen.pause = l.opts.Heartbeat
		}
		if !l.seen.evicting {
			l.opts.Logger.Warn("the shared server evicts records because its memory is full: other hosts may miss what this one learned; give it more memory and set maxmemory-policy noeviction")
		}
		l.seen.evicting, l.seen.evicted = true, time.Now()
	case l.seen.evicting && quiet >= l.seen.pause:
		l.seen.evicting, l.seen.pause = false, min(2*l.seen.pause, maxPause)
		l.opts.Logger.Info("the shared server no longer evicts records", "evicted", l.evicted.Load())
		return true
	}
	return false
}

// isDenied reports whether an error is about the password or a missing right.
func isDenied(err error) bool {
	e, ok := errors.AsType[*valkey.ValkeyError](err)
	if !ok {
		return false
	}
	code, _, _ := strings.Cut(e.Error(), " ")
	return code == "NOAUTH" || code == "WRONGPASS" || code == "NOPERM"
}

// health logs once when something stops working, and once when it works
// again.
type health struct {
	store      *Store
	well       *atomic.Bool
	lost, back string
	since      time.Time // zero while it works
}

// note notes how a try went.
func (h *health) note(err error) {
	h.well.Store(err == nil)
	switch {
	case err != nil && h.store.ctx.Err() != nil:
		// we are stopping
	case err != nil && h.since.IsZero():
		h.since = time.Now()
		h.store.away.Add(1)
		h.store.opts.Logger.Error(h.lost, "error", err)
	case err == nil && !h.since.IsZero():
		h.store.opts.Logger.Info(h.back, "after", time.Since(h.since).Round(time.Second), "changed", h.store.changed.len())
		h.since = time.Time{}
	}
}
