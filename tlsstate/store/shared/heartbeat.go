package shared

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valkey-io/valkey-go"

	"tlsratchet/internal/trouble"
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
func (s *Store) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.reply())
	defer cancel()
	v := s.server.Load()
	began := time.Now()
	generation, err := v.mark(ctx, s.opts.Prefix+"generation")
	took := time.Since(began)
	if err != nil {
		return err
	}
	masters, complete := v.masters(ctx)
	s.compare(generation, masters, complete)
	if took > s.opts.Timeout {
		return errSlow
	}
	return nil
}

// compare notices what the server may have lost since the last time.
func (s *Store) compare(generation string, masters []node, complete bool) {
	lost := generation != "" && generation != s.seen.generation
	evicted := uint64(0)
	runs := make(map[string]uint64)
	if !complete { // some may only be silent
		maps.Copy(runs, s.seen.runs)
	}
	for _, m := range masters {
		before, known := s.seen.runs[m.run]
		lost = lost || !known
		if known && m.evicted > before {
			evicted += m.evicted - before
		}
		runs[m.run] = m.evicted
	}
	s.seen.runs = runs
	if generation != "" {
		s.seen.generation = generation
	}
	if s.evictions(evicted) || lost {
		s.changed.all.Store(true)
	}
}

// maxPause is how long at most a server must not have evicted for everything to
// be sent again. One that is too small for it evicts again by that, so that
// each time is later than the last.
const maxPause = 10 * time.Minute

// evictions reports whether keys were evicted and the eviction has ended.
func (s *Store) evictions(n uint64) (over bool) {
	s.evicted.Add(n)
	quiet := time.Since(s.seen.evicted)
	switch {
	case n > 0:
		if quiet > 6*maxPause {
			s.seen.pause = s.opts.Heartbeat
		}
		if !s.seen.evicting {
			s.opts.Logger.Warn("the shared server evicts records because its memory is full: other hosts may miss what this one learned; give it more memory and set maxmemory-policy noeviction")
		}
		s.seen.evicting, s.seen.evicted = true, time.Now()
	case s.seen.evicting && quiet >= s.seen.pause:
		s.seen.evicting, s.seen.pause = false, min(2*s.seen.pause, maxPause)
		s.opts.Logger.Info("the shared server no longer evicts records", "evicted", s.evicted.Load())
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

// health is whether something works.
type health struct {
	well atomic.Bool
	trouble.State
}

// found notes how a try went.
func (s *Store) found(h *health, err error) {
	h.well.Store(err == nil)
	if err != nil && s.ctx.Err() != nil {
		return // we are stopping
	}
	if h.Note(s.opts.Logger, err, "changed", s.changed.len()) && h != &s.locals {
		s.away.Add(1)
	}
}
