package alert

import (
	"context"
	"slices"
	"time"

	"tlsratchet/internal/trouble"
)

const (
	// backlog is how many messages may wait for a destination.
	backlog = 64
	// repeatEvery is how often a destination that repeats is sent what is open: as
	// Prometheus does it.
	repeatEvery = time.Minute
)

// worker delivers to one destination.
type worker struct {
	to     *Destination
	alerts *Alerts
	stats  *Stats // of the name of to; under the lock of alerts
	queue  chan *Message

	done     chan struct{}
	cancel   context.CancelFunc // of all deliveries
	delivery trouble.State
}

// Stats are what happened to the messages of one destination.
type Stats struct {
	// Delivered were accepted; Failed were not, after all tries; Dropped came
	// when the queue was full.
	Delivered, Failed, Dropped uint64
}

// newWorker starts a worker. If the destination is new, it is sent what is open.
// The caller holds the lock of the alerts.
func newWorker(to *Destination, a *Alerts, isNew bool) *worker {
	ctx, cancel := context.WithCancel(context.Background())
	w := &worker{to: to, alerts: a, stats: a.stats[to.Name], queue: make(chan *Message, backlog), done: make(chan struct{}), cancel: cancel}
	w.delivery = trouble.State{Begins: "could not deliver an alert; further failures are only counted", Ends: "alerts are delivered again"}
	if isNew && !to.repeats { // what repeats gets it anyway
		w.catchUp(a.standing(to))
	}
	go w.run(ctx)
	return w
}

// add queues a message. If the queue is full, it is dropped and counted. The caller
// holds the lock of the alerts.
func (w *worker) add(m *Message) {
	select {
	case w.queue <- m:
	default:
		w.stats.Dropped++
	}
}

// run delivers until the queue is closed and empty.
func (w *worker) run(ctx context.Context) {
	defer close(w.done)
	defer w.cancel()
	var ticks <-chan time.Time
	if w.to.repeats {
		ticks = time.Tick(repeatEvery)
	}
	for ctx.Err() == nil {
		select {
		case m, ok := <-w.queue:
			if !ok {
				return
			}
			_, err := w.to.send(ctx, m)
			w.outcome(err)
		case <-ticks:
			w.repeat(ctx)
		}
	}
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
		all = []*Message{together.message("open when this destination was added", w.alerts.host)}
	}
	for _, m := range all {
		w.add(m)
	}
}

// repeat sends what is open. Only a failure is counted.
func (w *worker) repeat(ctx context.Context) {
	w.alerts.mu.Lock()
	all := w.alerts.standing(w.to)
	w.alerts.mu.Unlock()
	if len(all) == 0 {
		return
	}
	if _, err := w.to.send(ctx, all...); err != nil {
		w.outcome(err)
	}
}

// outcome counts a delivery.
func (w *worker) outcome(err error) {
	w.alerts.mu.Lock()
	if err == nil {
		w.stats.Delivered++
	} else {
		w.stats.Failed++
	}
	w.alerts.mu.Unlock()
	w.delivery.Note(w.alerts.log, err, "to", w.to.Name)
}

// Stats returns the counts by the names of the destinations, of former ones too.
func (a *Alerts) Stats() map[string]Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make(map[string]Stats, len(a.stats))
	for name, s := range a.stats {
		all[name] = *s
	}
	return all
}
