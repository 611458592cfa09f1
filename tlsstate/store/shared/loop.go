package shared

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/valkey-io/valkey-go"

	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

const (
	// grace is how long after a late answer the server is looked after.
	grace = 50 * time.Millisecond
	// groupSize bounds what is sent at once.
	groupSize = 256
	// minBackoff and maxBackoff bound the wait between tries.
	minBackoff = 250 * time.Millisecond
	maxBackoff = 5 * time.Second
	// farewellTimeout is how long a Close may take to send what changed.
	farewellTimeout = time.Second
)

// loop is the one goroutine that connects, looks after the server and sends.
func (s *Store) loop() {
	defer close(s.done)
	defer s.farewell()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wake, suspect := s.wake, s.suspect
		if s.delay > 0 {
			wake, suspect = nil, nil // keep to the back-off
		}
		select {
		case <-s.ctx.Done():
			return
		case <-wake:
			timer.Reset(s.opts.Gather)
		case <-suspect:
			s.beaten = time.Time{}
			timer.Reset(grace)
		case answer := <-s.flushes:
			answer <- s.round(s.ctx)
			timer.Reset(s.next())
		case <-timer.C:
			_ = s.round(s.ctx) // it was logged
			timer.Reset(s.next())
		}
	}
}

// next returns how long until there is something to do.
func (s *Store) next() time.Duration {
	switch {
	case s.delay > 0:
		return s.delay
	case s.changed.len() > 0:
		return s.opts.Gather
	case !s.seen.evicting && (s.sweeping.Load() || s.changed.all.Load()):
		return groupSize * time.Second / time.Duration(s.opts.Pace)
	}
	return max(s.opts.Heartbeat-time.Since(s.beaten), grace)
}

// round looks after the server if it is time, and sends what there is. An error
// wraps [ErrAway].
func (s *Store) round(ctx context.Context) error {
	looked := s.guarded(func() error { return s.look(ctx) })
	s.found(&s.answers, looked)
	sent := looked
	if looked == nil || errors.Is(looked, errSlow) {
		sent = s.send(ctx)
	}
	if looked == nil && sent == nil {
		s.delay = 0
		return nil
	}
	s.delay = min(max(2*s.delay, minBackoff), maxBackoff)
	if sent == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrAway, sent)
}

// look connects if there is no connection yet, and listens for the heartbeat.
func (s *Store) look(ctx context.Context) error {
	if s.server.Load() == nil {
		v, err := dial(&s.opts, &s.commands)
		if err != nil {
			return err
		}
		s.server.Store(v)
	}
	if s.delay == 0 && time.Since(s.beaten) < s.opts.Heartbeat {
		return nil
	}
	err := s.beat(ctx)
	if isDenied(err) { // the password may be another by now
		s.server.Swap(nil).client.Close()
	}
	if err == nil {
		s.beaten = time.Now()
	}
	return err
}

// send sends what changed, and the next of everything. It reports how that went,
// and whether a failure is the server's.
func (s *Store) send(ctx context.Context) error {
	err := s.guarded(func() error {
		v := s.server.Load()
		for n := s.changed.len(); n > 0; {
			ids := s.changed.take(min(n, groupSize))
			if err := s.sendGroup(ctx, v, ids); err != nil {
				return err
			}
			n -= max(len(ids), 1)
		}
		return s.sendSome(ctx, v)
	})
	_, refused := errors.AsType[*valkey.ValkeyError](err)
	switch {
	case errors.Is(err, errLocal):
		s.found(&s.locals, err)
	case err == nil:
		s.found(&s.locals, nil)
		s.found(&s.takes, nil)
	case refused, errors.Is(err, errPanic):
		s.found(&s.takes, err)
	default:
		s.found(&s.answers, err)
	}
	return err
}

// contests is how often a group is joined again because other hosts changed the
// same records.
const contests = 5

// sendGroup joins the histories of identities with what the server has, both
// ways. Those of which it can't count as changed, for the next try.
func (s *Store) sendGroup(ctx context.Context, v *server, ids []tlsstate.Identity) error {
	ctx, cancel := context.WithTimeout(ctx, 2*s.opts.reply())
	defer cancel()
	defer func() { s.note(ids...) }()
	for range contests {
		met, local := s.meetAll(ctx, v, ids)
		if local != nil && !errors.Is(local, errLocal) {
			return local
		}
		var swaps []swap
		for i := range met {
			if met[i].is != "" {
				swaps = append(swaps, met[i].swap)
			}
		}
		made, again, err := v.swap(ctx, swaps)
		s.written.Add(made)
		s.conflicts.Add(uint64(len(again)))
		if err = cmp.Or(err, local); err != nil {
			return err
		}
		if ids = again; len(ids) == 0 {
			return nil
		}
	}
	return nil
}

// sendSome sends the next group of everything, if everything is to be sent. What
// fails to be sent counts as changed; if the local store fails, all begins again.
func (s *Store) sendSome(ctx context.Context, v *server) error {
	if s.seen.evicting {
		return nil // it would push out as much again
	}
	if s.changed.all.Swap(false) {
		s.sweeps.Add(1)
		s.sweeping.Store(true)
		s.from = tlsstate.Identity{}
	}
	if !s.sweeping.Load() {
		return nil
	}
	ids, failed := s.some()
	if err := s.sendGroup(ctx, v, ids); err != nil {
		return err
	}
	if failed == nil || errors.Is(failed, store.ErrClosed) {
		return nil
	}
	s.changed.all.Store(true)
	return fmt.Errorf("%w: %w", errLocal, failed)
}

// some returns the next group of everything, and ends the sweep with the last.
func (s *Store) some() (ids []tlsstate.Identity, err error) {
	all, failed := s.local.All(s.from)
	for id := range all {
		if len(ids) == groupSize {
			s.from = id
			return ids, nil
		}
		if shareable(id) {
			ids = append(ids, id)
		}
	}
	s.sweeping.Store(false)
	return ids, failed()
}

// farewell sends what changed, if the server answers, and disconnects.
func (s *Store) farewell() {
	v := s.server.Load()
	if v == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.patience(farewellTimeout))
	defer cancel()
	s.seen.evicting = true // no sweep now
	if s.delay == 0 && s.changed.len() > 0 {
		_ = s.send(ctx) // it was logged
	}
	v.client.Close()
}
