package shared

import (
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
type loop struct {
	*Store
	answers, changes *health
	beaten           time.Time     // the last good heartbeat
	delay            time.Duration // until the next try; 0 when all is well
	seen             seen
	from             tlsstate.Identity // while everything is being sent: the next
}

func newLoop(s *Store) *loop {
	return &loop{
		Store:   s,
		answers: &health{store: s, well: &s.answering, lost: "the shared server does not answer: verdicts come from the local memory, and changes are kept", back: "the shared server answers again"},
		changes: &health{store: s, well: &s.taking, lost: "the shared server takes no changes: they are kept", back: "the shared server takes changes again"},
	}
}

func (l *loop) run() {
	defer close(l.done)
	defer l.farewell()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wake, suspect := l.wake, l.suspect
		if l.delay > 0 {
			wake, suspect = nil, nil // keep to the back-off
		}
		select {
		case <-l.ctx.Done():
			return
		case <-wake:
			timer.Reset(l.opts.Gather)
		case <-suspect:
			l.beaten = time.Time{}
			timer.Reset(grace)
		case answer := <-l.flushes:
			answer <- l.round(l.ctx)
			timer.Reset(l.next())
		case <-timer.C:
			_ = l.round(l.ctx) // it was logged
			timer.Reset(l.next())
		}
	}
}

// next returns how long until there is something to do.
func (l *loop) next() time.Duration {
	switch {
	case l.delay > 0:
		return l.delay
	case l.changed.len() > 0:
		return l.opts.Gather
	case !l.seen.evicting && (l.sweeping.Load() || l.changed.all.Load()):
		return groupSize * time.Second / time.Duration(l.opts.Pace)
	}
	return max(l.opts.Heartbeat-time.Since(l.beaten), grace)
}

// round looks after the server if it is time, and sends what there is. An error
// wraps [ErrAway].
func (l *loop) round(ctx context.Context) error {
	looked := l.guarded(func() error { return l.look(ctx) })
	l.answers.note(looked)
	sent := looked
	if looked == nil || errors.Is(looked, errSlow) {
		sent = l.sendGuarded(ctx)
	}
	if looked == nil && sent == nil {
		l.delay = 0
		return nil
	}
	l.delay = min(max(2*l.delay, minBackoff), maxBackoff)
	if sent == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrAway, sent)
}

// sendGuarded sends what there is and reports how that went. What a panic
// made it lose is sent with everything, once that works.
func (l *loop) sendGuarded(ctx context.Context) error {
	sent := l.guarded(func() error { return l.send(ctx) })
	if errors.Is(sent, errPanic) {
		l.changed.all.Store(true)
	}
	l.report(sent)
	return sent
}

// report records the result of sending, and whether a failure is the server's.
func (l *loop) report(sent error) {
	_, refused := errors.AsType[*valkey.ValkeyError](sent)
	refused = refused || errors.Is(sent, errPanic)
	switch {
	case errors.Is(sent, errLocal):
		l.opts.Logger.Error("changes not sent to the shared server; they are kept and sent later", "error", sent)
	case sent == nil || refused:
		l.changes.note(sent)
	default:
		l.answers.note(sent)
	}
}

// look connects if there is no connection yet, and listens for the heartbeat.
func (l *loop) look(ctx context.Context) error {
	if l.server.Load() == nil {
		v, err := dial(&l.opts, &l.commands)
		if err != nil {
			return err
		}
		l.server.Store(v)
	}
	if l.delay == 0 && time.Since(l.beaten) < l.opts.Heartbeat {
		return nil
	}
	err := l.beat(ctx)
	if isDenied(err) { // the password may be another by now
		l.server.Swap(nil).client.Close()
	}
	if err == nil {
		l.beaten = time.Now()
	}
	return err
}

// send sends what changed, and the next of everything.
func (l *loop) send(ctx context.Context) error {
	v := l.server.Load()
	for n := l.changed.len(); n > 0; {
		ids := l.changed.take(min(n, groupSize))
		if err := l.sendGroup(ctx, v, ids); err != nil {
			l.note(ids...)
			return err
		}
		n -= max(len(ids), 1)
	}
	return l.sendSome(ctx, v)
}

// contests is how often a group is joined again because other hosts changed the
// same records.
const contests = 5

// sendGroup joins the histories of identities with what the server has, both
// ways.
func (l *loop) sendGroup(ctx context.Context, v *server, ids []tlsstate.Identity) error {
	ctx, cancel := context.WithTimeout(ctx, 2*l.opts.reply())
	defer cancel()
	for range contests {
		met, err := l.meetAll(ctx, v, ids)
		if err != nil {
			return err
		}
		ids = ids[:0:0]
		var swaps []swap
		for i := range met {
			if is := met[i].owed(); is != "" {
				ids = append(ids, met[i].id)
				swaps = append(swaps, swap{l.key(met[i].id), met[i].theirs, is, l.life(&met[i].mine)})
			}
		}
		if len(swaps) == 0 {
			return nil
		}
		made, err := v.swap(ctx, swaps)
		ids = l.contested(ids, made)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			return nil
		}
	}
	l.note(ids...)
	return nil
}

// contested returns the identities whose records another host changed first.
func (l *loop) contested(ids []tlsstate.Identity, made []bool) (again []tlsstate.Identity) {
	for i, ok := range made {
		if ok {
			l.written.Add(1)
		} else {
			l.conflicts.Add(1)
			again = append(again, ids[i])
		}
	}
	return again
}

// sendSome sends the next group of everything, if everything is to be sent. What
// fails to be sent counts as changed; if the local store fails, all begins again.
func (l *loop) sendSome(ctx context.Context, v *server) error {
	if l.seen.evicting {
		return nil // it would push out as much again
	}
	if l.changed.all.Swap(false) {
		l.sweeps.Add(1)
		l.sweeping.Store(true)
		l.from = tlsstate.Identity{}
	}
	if !l.sweeping.Load() {
		return nil
	}
	ids, failed := l.some()
	if err := l.sendGroup(ctx, v, ids); err != nil {
		l.note(ids...)
		return err
	}
	if failed == nil || errors.Is(failed, store.ErrClosed) {
		return nil
	}
	l.changed.all.Store(true)
	return fmt.Errorf("%w: %w", errLocal, failed)
}

// some returns the next group of everything, and ends the sweep with the last.
func (l *loop) some() (ids []tlsstate.Identity, err error) {
	all, failed := l.local.All(l.from)
	for id := range all {
		if len(ids) == groupSize {
			l.from = id
			return ids, nil
		}
		if shareable(id) {
			ids = append(ids, id)
		}
	}
	l.sweeping.Store(false)
	return ids, failed()
}

// farewell sends what changed, if the server answers, and disconnects.
func (l *loop) farewell() {
	v := l.server.Load()
	if v == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.opts.patience(farewellTimeout))
	defer cancel()
	l.seen.evicting = true // no sweep now
	if l.delay == 0 && l.changed.len() > 0 {
		_ = l.sendGuarded(ctx) // it was logged
	}
	v.client.Close()
}
