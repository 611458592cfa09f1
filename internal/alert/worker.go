package alert

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// backlog is how many messages may wait for a destination.
const backlog = 64

// worker delivers to one destination.
type worker struct {
	to    *Destination
	log   *slog.Logger
	queue chan *Message
	// open returns what a repeater is sent every minute.
	open func() []*Message

	done    chan struct{}
	ctx     context.Context // of all deliveries
	cancel  context.CancelFunc
	failing bool
	counts  *tally
}

// tally holds the counts of a destination, and outlives its worker.
type tally struct{ delivered, failed, dropped atomic.Uint64 }

func newWorker(to *Destination, log *slog.Logger, open func() []*Message, counts *tally) *worker {
	w := &worker{
		to: to, log: log, open: open, queue: make(chan *Message, backlog), counts: counts, done: make(chan struct{}),
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w
}

// add queues a message. If the queue is full, it is dropped and counted.
func (w *worker) add(m *Message) {
	select {
	case w.queue <- m:
	default:
		w.counts.dropped.Add(1)
	}
}

// run delivers until the queue is closed and empty.
func (w *worker) run() {
	defer close(w.done)
	defer w.cancel()
	var ticks <-chan time.Time
	if _, ok := w.to.sender.(repeater); ok {
		t := time.NewTicker(repeatEvery)
		defer t.Stop()
		ticks = t.C
	}
	for w.ctx.Err() == nil {
		select {
		case m, ok := <-w.queue:
			if !ok {
				return
			}
			w.deliver(m)
		case now := <-ticks:
			w.repeat(now)
		}
	}
}

// catchUp queues the messages that the destination wants, the oldest first; more
// than a few as one digest. A repeater gets them anyway.
func (w *worker) catchUp(all []*Message, host string) {
	if _, ok := w.to.sender.(repeater); ok {
		return
	}
	var wanted []*Message
	var together held
	for _, m := range all {
		if w.to.wants(m.Severity) {
			wanted = append(wanted, m)
			together.add(m)
		}
	}
	if len(wanted) > burst {
		wanted = []*Message{together.message("open when this destination was added", host)}
	}
	for _, m := range wanted {
		w.add(m)
	}
}

func (w *worker) deliver(m *Message) {
	_, err := w.to.send(w.ctx, m)
	w.outcome(err)
}

// repeat sends what is open. Only a failure is counted.
func (w *worker) repeat(now time.Time) {
	var open []*Message
	for _, m := range w.open() {
		if w.to.wants(m.Severity) {
			open = append(open, m)
		}
	}
	_, err := w.to.retry(w.ctx, func(ctx context.Context) (string, error) {
		return "", w.to.sender.(repeater).repeat(ctx, now, open)
	})
	if err != nil {
		w.outcome(err)
	}
}

// outcome counts a delivery. It logs once that the destination fails, and once
// that it works again.
func (w *worker) outcome(err error) {
	switch {
	case err == nil:
		w.counts.delivered.Add(1)
		if w.failing {
			w.log.Info("alerts are delivered again", "to", w.to.Name)
		}
	default:
		w.counts.failed.Add(1)
		if !w.failing {
			w.log.Error("could not deliver an alert; further failures are only counted", "to", w.to.Name, "error", err)
		}
	}
	w.failing = err != nil
}

// wait waits until the worker has ended, and makes it end with ctx.
func (w *worker) wait(ctx context.Context) {
	select {
	case <-w.done:
	case <-ctx.Done():
		w.cancel()
		<-w.done // every sender heeds its context
	}
}

// Stats are what happened to the messages of one destination.
type Stats struct {
	// Delivered were accepted; Failed were not, after all tries; Dropped came
	// when the queue was full.
	Delivered, Failed, Dropped uint64
}

// Stats returns the counts by the names of the destinations, of former ones too.
func (a *Alerts) Stats() map[string]Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make(map[string]Stats, len(a.counts))
	for name, c := range a.counts {
		all[name] = Stats{c.delivered.Load(), c.failed.Load(), c.dropped.Load()}
	}
	return all
}
