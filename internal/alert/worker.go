package alert

import (
	"context"
	"errors"
	"slices"
	"time"

	"tlsratchet/internal/loop"
	"tlsratchet/internal/trouble"
)

const (
	// backlog is how many messages may wait for a destination, keepFor how long one
	// is tried.
	backlog = 64
	keepFor = 72 * time.Hour
	// firstRetry is the pause after a delivery that failed for now. The next ones grow
	// with the time since then, so that each is twice the last, up to lastRetry.
	firstRetry, lastRetry = time.Minute, 4 * time.Hour
	// repeatEvery is how often a destination that repeats is sent what is open: as
	// Prometheus does it.
	repeatEvery = time.Minute
	// maxUnrepeated is for how long such a destination can ask to be left alone. Its
	// next turn comes all the same: three are all until what is open [expires] there.
	maxUnrepeated = repeatEvery / 2
)

// box is what waits for the destination of a name, and what happened to the rest.
// It is under the lock of the alerts.
type box struct {
	Stats
	waiting []Waiting
	until   time.Time // the server wants nothing before
	// delivery is under a lock of its own.
	delivery trouble.State
}

// Waiting is a message that one destination has not accepted yet.
type Waiting struct {
	*Message
	// Queued is the time from which on it waits.
	Queued time.Time `json:"queued"`
}

// Stats are what happened to the messages of one destination.
type Stats struct {
	// Delivered were accepted. Failed counts the deliveries that failed: most are
	// tried again. Dropped were given up: refused for good, too old, or more than
	// may wait.
	Delivered, Failed, Dropped uint64
}

// worker delivers to one destination.
type worker struct {
	to     *Destination
	alerts *Alerts
	*box

	news   chan struct{}    // something waits that did not before
	turns  <-chan time.Time // to repeat what is open
	stop   chan struct{}    // closed: what waits is tried once more
	done   chan struct{}
	ctx    context.Context // of all deliveries
	cancel context.CancelFunc

	failing time.Time // since then nothing was delivered; zero: it works
}

// newWorker makes a worker, which does not run. If the destination is new, it is
// sent what is open. The caller holds the lock of the alerts.
func newWorker(to *Destination, a *Alerts, isNew bool) *worker {
	w := &worker{to: to, alerts: a, box: a.box(to.Name), news: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	if isNew && !to.repeats { // what repeats gets it anyway
		w.catchUp(a.standing(to))
	}
	return w
}

// add queues a message. The caller holds the lock of the alerts.
func (w *worker) add(m *Message) {
	if len(w.waiting) >= backlog {
		w.alerts.drop(w.to.Name, m, errors.New("too many alerts wait for this destination"))
		return
	}
	w.waiting = append(w.waiting, Waiting{m, time.Now().UTC()})
	loop.Wake(w.news)
}

// drop counts and logs a message to a destination that is given up. The caller holds
// the lock.
func (a *Alerts) drop(to string, m *Message, why error) {
	a.box(to).Dropped++
	a.o.Log.Error("alert dropped", "to", to, "key", m.Key, "what", m.What, "title", m.Title, "error", why)
}

// run delivers until it is stopped.
func (w *worker) run() {
	defer close(w.done)
	defer w.cancel()
	if w.to.repeats {
		w.turns = time.Tick(repeatEvery)
	}
	retry := time.NewTimer(time.Until(w.until)) // something may wait since the last stop
	defer retry.Stop()
	for running := true; running; {
		turn := false
		select {
		case <-w.news:
		case <-retry.C:
		case <-w.turns:
			turn = true
		case <-w.stop:
			running = false
		}
		if time.Now().Before(w.until) {
			continue
		}
		if pause := w.deliver(turn); pause > 0 {
			retry.Reset(pause)
		}
	}
}

// deliver sends what waits, until one fails for now: then it returns for how long
// to pause. What is open is repeated in its turn, in between too: many that wait may take
// longer than until it [expires].
func (w *worker) deliver(turn bool) (pause time.Duration) {
	for ; pause == 0 && w.ctx.Err() == nil; turn = false {
		select {
		case <-w.turns:
			turn = true
		default:
		}
		if turn && w.repeat() != nil {
			break
		}
		w.alerts.mu.Lock()
		waiting := w.waiting // its first one stays in its place
		w.alerts.mu.Unlock()
		if len(waiting) == 0 {
			break
		}
		_, err := w.to.send(w.ctx, waiting[0].Message)
		pause = w.outcome(waiting[0], err)
	}
	return pause
}

// note counts a try that failed, and heeds the time that the server wants to be left
// alone. The caller holds the lock of the alerts.
func (w *worker) note(err error) (after time.Duration, later bool) {
	w.delivery.Note(w.alerts.o.Log, err, "to", w.to.Name)
	if after, later = tryLater(err); w.to.repeats {
		after = min(after, maxUnrepeated)
	}
	if err != nil {
		w.Failed++
		w.until = time.Now().Add(after)
	}
	if after > 0 {
		loop.Wake(w.alerts.changed)
	}
	return after, later
}

// outcome notes a delivery. A message that failed for now goes behind those on other
// matters: it may be the only one that can't be delivered.
func (w *worker) outcome(m Waiting, err error) (pause time.Duration) {
	w.alerts.mu.Lock()
	defer w.alerts.mu.Unlock()
	after, later := w.note(err)
	switch {
	case later && time.Since(m.Queued).Abs() < keepFor:
		w.waiting = append(w.without(func(o Waiting) bool { return o.Key == m.Key }), w.without(func(o Waiting) bool { return o.Key != m.Key })...)
		now := time.Now()
		if w.failing.IsZero() {
			w.failing = now
		}
		return max(after, min(firstRetry+now.Sub(w.failing), lastRetry))
	case err == nil:
		w.Delivered++
		w.failing = time.Time{}
	default:
		w.alerts.drop(w.to.Name, m.Message, err)
	}
	w.waiting = w.without(func(o Waiting) bool { return o.Message == m.Message })
	loop.Wake(w.alerts.changed)
	return 0
}

// without returns what waits but for some.
func (b *box) without(some func(Waiting) bool) []Waiting {
	return slices.DeleteFunc(slices.Clone(b.waiting), some)
}

// tryLater reports whether a delivery that failed may succeed later, and after
// what time the server wants it.
func tryLater(err error) (after time.Duration, later bool) {
	t, temp := errors.AsType[temporary](err)
	return t.after, temp || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// catchUp queues messages that are the newest first, the oldest first; more than a
// few as one digest.
func (w *worker) catchUp(all []*Message) {
	slices.Reverse(all)
	if len(all) > burst {
		var together held
		for _, m := range all {
			together.add(m)
		}
		all = []*Message{together.message("open when this destination was added", w.alerts.o.Host)}
	}
	for _, m := range all {
		w.add(m)
	}
}

// repeat sends what is open. Only a failure is counted.
func (w *worker) repeat() error {
	w.alerts.mu.Lock()
	all := w.alerts.standing(w.to)
	w.alerts.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	_, err := w.to.send(w.ctx, all...)
	w.alerts.mu.Lock()
	defer w.alerts.mu.Unlock()
	w.note(err)
	return err
}

// Stats returns the counts by the names of the destinations, of former ones too.
func (a *Alerts) Stats() map[string]Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make(map[string]Stats, len(a.boxes))
	for name, b := range a.boxes {
		all[name] = b.Stats
	}
	return all
}
