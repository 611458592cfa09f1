package shared

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/loop"
	"tlsratchet/tlsstate"
)

// Refresh brings the local histories of identities up to what all hosts know,
// where the server answers within Options.Timeout, and reports whether that
// changed any. Identities that it was asked for less than maxAge ago are left
// out. While the server is known to be away it returns at once.
//
// It is for sessions that may be a downgrade, or turn out to be none, by what
// another host knows. Others need not wait.
func (s *Store) Refresh(maxAge time.Duration, ids ...tlsstate.Identity) (news bool) {
	return s.refresh(s.opts.Timeout, maxAge, ids)
}

func (s *Store) refresh(patience, maxAge time.Duration, ids []tlsstate.Identity) bool {
	ids = s.stale(maxAge, ids)
	if len(ids) == 0 {
		return false
	}
	v := s.admit()
	if v == nil {
		s.unasked.Add(1)
		return false
	}
	s.asked.Add(1)
	var news bool // once there is an answer
	answer := make(chan error, 1)
	go func() { // the client doesn't keep to a deadline while it connects
		defer s.asking.Release(1)
		var err error
		news, err = s.fetch(v, ids)
		answer <- err
	}()
	select {
	case err := <-answer:
		s.doubt(err)
		return news
	case <-time.After(patience):
		s.late.Add(1)
		s.doubt(errLate)
		return false
	}
}

var errLate = errors.New("no answer in time")

// admit returns the server, if it may be asked now. Release asking then.
func (s *Store) admit() *server {
	if v := s.server.Load(); v != nil && s.answers.well.Load() && s.asking.TryAcquire(1) {
		return v
	}
	return nil
}

// stale returns the identities that the server is to be asked for.
func (s *Store) stale(maxAge time.Duration, ids []tlsstate.Identity) []tlsstate.Identity {
	var stale []tlsstate.Identity
	for _, id := range ids {
		at, known := s.recent.Peek(id)
		if shareable(id) && (!known || time.Since(at) >= maxAge) {
			stale = append(stale, id)
		}
	}
	return stale
}

// doubt keeps messages from asking until the loop has looked after the server.
func (s *Store) doubt(err error) {
	if err != nil && s.ctx.Err() == nil && !errors.Is(err, errLocal) {
		s.answers.well.Store(false)
		loop.Wake(s.suspect)
	}
}

// fetch is gather with a time and without a panic.
func (s *Store) fetch(v *server, ids []tlsstate.Identity) (news bool, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.opts.reply())
	defer cancel()
	err = s.guarded(func() (err error) {
		news, err = s.gather(ctx, v, ids)
		return err
	})
	return news, err
}

// errPanic: a bug. It must stop neither mail nor the daemon.
var errPanic = errors.New("panic")

// guarded calls fn, of which a panic is an error. The first is logged with its
// stack, all are counted.
func (s *Store) guarded(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
			if s.panics.Add(1) == 1 {
				new(clean.Panics).Log(s.opts.Logger, "query to the shared server failed; further panics are counted, not logged", p)
			}
		}
	}()
	return fn()
}

// gather is meetAll, and notes what the server lacks.
func (s *Store) gather(ctx context.Context, v *server, ids []tlsstate.Identity) (news bool, err error) {
	met, err := s.meetAll(ctx, v, ids)
	for i := range met {
		news = news || met[i].news
		if met[i].is != "" {
			s.note(met[i].id)
		}
	}
	return news, err
}

// meetAll gets the records of identities and joins each into the local memory.
// Those that must be left alone are left out. If the error wraps errLocal, so are
// those that the local store failed at.
func (s *Store) meetAll(ctx context.Context, v *server, ids []tlsstate.Identity) ([]meeting, error) {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = s.key(id)
	}
	values, err := v.get(ctx, keys)
	if err != nil {
		return nil, err
	}
	met := make([]meeting, 0, len(ids))
	var failed error
	for i, id := range ids {
		m, err := s.meet(id, values[i])
		switch {
		case errors.Is(err, errMistaken):
			s.recent.Remove(id)
			s.logMistake(err)
		case err != nil:
			failed = fmt.Errorf("%w: %w", errLocal, err)
		default:
			s.recent.Add(id.Clone(), time.Now())
			met = append(met, m)
		}
	}
	return met, failed
}

// errLocal: it is the local store that failed, not the server.
var errLocal = errors.New("local memory")
