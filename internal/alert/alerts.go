package alert

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tlsratchet/internal/incident"
	"tlsratchet/internal/loop"
	"tlsratchet/internal/trouble"
)

// Options are what [Alerts] work with.
type Options struct {
	// Host is this host's name, for the messages.
	Host string
	// PerHour is how many messages an hour are sent one by one, of incidents, of
	// notes without an incident and of notices each: 1 or more.
	PerHour int
	// State is that of the last run. Save saves it whenever it changed; it is called
	// by one goroutine, and may block.
	State State
	Save  func(State) error
	// Open is the source of the open incidents, [incident.Book.OpenIncidents]: for
	// destinations that are sent them every minute, and for those that are new. It
	// is called from the first SetDestinations on.
	Open func() []incident.Incident
	// Log gets a line when a destination fails, and when it works again.
	Log *slog.Logger
}

const (
	// burst is how many messages may be sent at once.
	burst = 5
	// digestAfter is how long messages are held back for a digest.
	digestAfter = 10 * time.Minute
	// sameAfter is how long an unchanged notice is not sent again, and maxNotices
	// how many matters are known.
	sameAfter  = 24 * time.Hour
	maxNotices = 100
	// savePause is the time between two savings of the state, saveTimeout how long
	// Close waits for the last one.
	savePause   = time.Second
	saveTimeout = 5 * time.Second
)

// Alerts send messages to destinations. The methods may be called at the same
// time; only Close and SetDestinations block. Call Close when done.
type Alerts struct {
	o Options

	changed chan struct{} // the state did
	ended   chan struct{}
	saved   chan struct{} // the last state is

	setting sync.Mutex // held while destinations are replaced
	mu      sync.Mutex
	closed  bool
	workers []*worker
	// incidents, notes and notices limit what is sent one by one: none must use up
	// the limit of another.
	incidents, notes, notices *rate.Limiter

	held    held
	matters map[string]Matter
	known   []string        // the names of the destinations
	boxes   map[string]*box // by the names of the destinations, and of former ones
}

// New returns alerts without destinations: see SetDestinations.
func New(o Options) *Alerts {
	a := &Alerts{
		o: o, matters: make(map[string]Matter), boxes: make(map[string]*box),
		changed: make(chan struct{}, 1), ended: make(chan struct{}), saved: make(chan struct{}),
		incidents: rate.NewLimiter(0, burst), notes: rate.NewLimiter(0, burst), notices: rate.NewLimiter(0, burst),
	}
	a.SetPerHour(o.PerHour)
	a.restore(o.State)
	a.o.State = State{}
	go a.saveStates()
	return a
}

// SetPerHour replaces the [Options.PerHour].
func (a *Alerts) SetPerHour(n int) {
	for _, l := range []*rate.Limiter{a.incidents, a.notes, a.notices} {
		l.SetLimit(rate.Every(time.Hour / time.Duration(n)))
	}
}

// SetDestinations replaces the destinations. The old ones try once more to deliver
// what waits, within ctx; the rest waits for those of the same names. New ones are
// sent what is open.
func (a *Alerts) SetDestinations(ctx context.Context, to []*Destination) {
	a.setting.Lock()
	defer a.setting.Unlock()
	a.mu.Lock()
	old := a.workers
	if !a.closed {
		a.makeWorkers(to)
	}
	made := a.workers
	a.mu.Unlock()
	stopWorkers(ctx, old)
	for _, w := range made {
		go w.run()
	}
	loop.Wake(a.changed)
}

func (a *Alerts) makeWorkers(to []*Destination) {
	before, old := a.known, a.workers
	a.workers, a.known = nil, nil
	for _, d := range to {
		for _, w := range old {
			if w.to.Name == d.Name {
				d.encrypted.Store(w.to.encrypted.Load())
			}
		}
		a.workers = append(a.workers, newWorker(d, a, !slices.Contains(before, d.Name)))
		a.known = append(a.known, d.Name)
	}
}

// box returns what waits for a destination.
func (a *Alerts) box(name string) *box {
	if a.boxes[name] == nil {
		a.boxes[name] = &box{delivery: trouble.State{
			Begins: "could not deliver an alert; further failures are only counted", Ends: "alerts are delivered again",
		}}
	}
	return a.boxes[name]
}

// stopWorkers has workers try once more to deliver what waits, within ctx, and end:
// every destination heeds its context.
func stopWorkers(ctx context.Context, old []*worker) {
	for _, w := range old {
		close(w.stop)
		defer context.AfterFunc(ctx, w.cancel)()
	}
	for _, w := range old {
		<-w.done
	}
}

// Change reports a change: it is the Changed of [incident.Options].
func (a *Alerts) Change(c incident.Change) {
	m := messageOf(&c, a.o.Host)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.emit(m)
}

// Notice reports what is no incident: the breaker, the self-check, the sending
// side. It uses n's key, severity, title, text, commands, time and status. A notice
// is left out where the last one of its key had the same title within a day, and an
// end where its begin was not reported. An end has the severity of the worst that
// was reported.
func (a *Alerts) Notice(n Message) {
	n.What, n.Status = WhatNotice, cmp.Or(n.Status, StatusOpen)
	m := n.from(a.o.Host)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.isNews(m) {
		loop.Wake(a.changed)
		a.emit(m)
	}
}

// emit queues a message for the destinations, or holds it back for the digest.
// What no destination gets does not count for the limit. The caller holds the lock.
func (a *Alerts) emit(m *Message) {
	wanted := slices.ContainsFunc(a.workers, func(w *worker) bool { return w.to.wants(m) })
	limit, gathering := a.notes, false
	switch {
	case m.Incident != nil:
		limit, gathering = a.incidents, a.held.incidents // in order
	case m.What == WhatNotice:
		limit = a.notices
	}
	switch {
	case !wanted: // as after the end
		return
	case !gathering && limit.Allow():
		a.queue(m, false)
	default:
		if a.held.Messages == 0 {
			time.AfterFunc(digestAfter, func() {
				a.mu.Lock()
				defer a.mu.Unlock()
				a.sendDigest()
			})
		}
		a.held.add(m)
		if what := incident.What(m.What); what == incident.Waiting || what == incident.Holding {
			a.queue(m, true) // nothing else states it there
		}
	}
	loop.Wake(a.changed)
}

// queue queues a message for the destinations, or only for those that get no digest.
func (a *Alerts) queue(m *Message, only bool) {
	for _, w := range a.workers {
		if w.to.wants(m) && (w.to.repeats || !only) {
			w.add(m)
		}
	}
}

// sendDigest sends what was held back, in one message.
func (a *Alerts) sendDigest() {
	if a.held.Messages > 0 {
		a.queue(a.heldBack(), false)
		a.held = held{}
		loop.Wake(a.changed)
	}
}

// heldBack is the message of what was held back.
func (a *Alerts) heldBack() *Message {
	return a.held.message("within "+span(time.Since(a.held.Since))+" beyond the limit of alert.per_hour", a.o.Host)
}

// standing returns what is open now and wanted by a destination, the newest first;
// for one that repeats only the strongest, and those first.
func (a *Alerts) standing(d *Destination) (all []*Message) {
	for _, m := range a.matters {
		if d.wants(m.Message) {
			all = append(all, m.Message)
		}
	}
	open := a.o.Open()
	if d.repeats {
		slices.SortStableFunc(open, Stronger)
	}
	for _, i := range open {
		if Of(&i) >= d.Least && !(d.repeats && len(all) >= maxRepeated) {
			c := incident.Change{What: incident.Opened, At: i.Last, Identity: i.Identity, Incident: i}
			all = append(all, messageOf(&c, a.o.Host))
		}
	}
	return all
}

// Close sends what is held back, tries once more to deliver what waits, within ctx,
// and saves the state: what was not delivered is sent after the next start.
func (a *Alerts) Close(ctx context.Context) {
	a.setting.Lock()
	defer a.setting.Unlock()
	a.mu.Lock()
	a.sendDigest()
	old, again := a.workers, a.closed
	a.closed, a.workers = true, nil
	a.mu.Unlock()
	stopWorkers(ctx, old)
	if !again {
		close(a.ended)
	}
	select {
	case <-a.saved:
	case <-time.After(saveTimeout):
		a.o.Log.Error("could not save the alert state in time; alerts may repeat after a restart")
	}
}
