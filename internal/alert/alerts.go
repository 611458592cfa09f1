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
)

// Options are what [Alerts] work with.
type Options struct {
	// Host is this host's name, for the messages.
	Host string
	// PerHour is how many messages an hour are sent one by one, of incidents and
	// of notices each; 0 for the default, 20.
	PerHour int
	// State is that of the last run: see [Alerts.State].
	State State
	// Log gets a line when a destination fails, and when it works again.
	// Default: none.
	Log *slog.Logger
}

const (
	defaultPerHour = 20
	// burst is how many messages may be sent at once.
	burst = 5
	// digestAfter is how long messages are held back for a digest.
	digestAfter = 10 * time.Minute
	// sameAfter is how long an unchanged notice is not sent again, and maxNotices
	// how many matters are known.
	sameAfter  = 24 * time.Hour
	maxNotices = 100
)

// Alerts send messages to destinations. The methods may be called at the same
// time; only Close and SetDestinations block. Call Close when done.
type Alerts struct {
	host string
	log  *slog.Logger

	mu      sync.Mutex
	closed  bool
	workers []*worker
	// incidents and notices limit what is sent one by one: neither must use up
	// the limit of the other.
	incidents, notices *rate.Limiter
	held               held
	digest             *time.Timer // running while something is held
	open               func() []incident.Incident
	matters            map[string]*Matter
	// known are the names of the destinations, fresh those that are new and were
	// not sent yet what is open.
	known []string
	fresh []*worker
	// counts are by the names of the destinations.
	counts map[string]*tally
}

// New returns alerts to the destinations.
func New(o Options, to []*Destination) *Alerts {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &Alerts{
		host: o.Host, log: o.Log, matters: make(map[string]*Matter), counts: make(map[string]*tally),
		incidents: rate.NewLimiter(perHour(o.PerHour), burst), notices: rate.NewLimiter(perHour(o.PerHour), burst),
	}
	a.restore(o.State)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.startWorkers(to)
	return a
}

// perHour returns the limit of so many messages an hour; 0 stands for the
// default.
func perHour(n int) rate.Limit {
	if n <= 0 {
		n = defaultPerHour
	}
	return rate.Limit(float64(n) / time.Hour.Seconds())
}

// SetPerHour replaces the [Options.PerHour].
func (a *Alerts) SetPerHour(n int) {
	a.incidents.SetLimit(perHour(n))
	a.notices.SetLimit(perHour(n))
}

// Follow sets the source of the open incidents, [incident.Book.OpenIncidents]:
// for destinations that are sent them every minute, and for those that are new.
func (a *Alerts) Follow(open func() []incident.Incident) {
	a.mu.Lock()
	a.open = open
	a.mu.Unlock()
	a.catchUp()
}

// catchUp sends what is open to destinations that did not exist when it was
// reported.
func (a *Alerts) catchUp() {
	all := a.repeated()
	slices.Reverse(all)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil || a.closed {
		return
	}
	for _, w := range a.fresh {
		w.catchUp(all, a.host)
	}
	a.fresh = nil
}

// SetDestinations replaces the destinations. The old ones still deliver what
// waits in their queues, within ctx. New ones are sent what is open.
func (a *Alerts) SetDestinations(ctx context.Context, to []*Destination) {
	a.mu.Lock()
	old := a.workers
	if !a.closed {
		a.startWorkers(to)
	}
	a.mu.Unlock()
	a.catchUp()
	stopWorkers(ctx, old)
}

func (a *Alerts) startWorkers(to []*Destination) {
	known := a.known
	a.workers, a.known, a.fresh = nil, nil, nil
	for _, d := range to {
		if a.counts[d.Name] == nil {
			a.counts[d.Name] = &tally{}
		}
		w := newWorker(d, a.log, a.repeated, a.counts[d.Name])
		a.workers, a.known = append(a.workers, w), append(a.known, d.Name)
		if !slices.Contains(known, d.Name) {
			a.fresh = append(a.fresh, w)
		}
		go w.run()
	}
}

// stopWorkers has workers deliver what waits, within ctx, and end.
func stopWorkers(ctx context.Context, old []*worker) {
	for _, w := range old {
		close(w.queue) // nobody adds to it any more
	}
	for _, w := range old {
		w.wait(ctx)
	}
}

// Change reports a change: it is the Changed of [incident.Options].
func (a *Alerts) Change(c incident.Change) {
	a.emit(a.incidents, messageOf(&c, a.host))
}

// Notice reports what is no incident: the breaker, the self-check, the sending
// side. Of n, the key, severity, title, text, commands and time count, and that it
// is closed. It is left out where the last one of its key had the same title within
// a day, and where it is the end of what was not reported. An end has the severity
// of the worst that was reported.
func (a *Alerts) Notice(n Message) {
	n.What, n.Status = WhatNotice, cmp.Or(n.Status, StatusOpen)
	if m := n.from(a.host); a.isNews(m) {
		a.emit(a.notices, m)
	}
}

// emit queues a message for the destinations, or holds it back.
func (a *Alerts) emit(limit *rate.Limiter, m *Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || !a.wanted(m) {
		return
	}
	gathering := limit == a.incidents && a.held.Messages > 0
	if gathering || !limit.Allow() {
		a.hold(m)
		return
	}
	a.queue(m)
}

// wanted reports whether any destination gets a message: what none gets does not
// count for the limit.
func (a *Alerts) wanted(m *Message) bool {
	for _, w := range a.workers {
		if w.to.wants(m.Severity) {
			return true
		}
	}
	return false
}

func (a *Alerts) queue(m *Message) {
	for _, w := range a.workers {
		if w.to.wants(m.Severity) {
			w.add(m)
		}
	}
}

// hold adds a message to the digest.
func (a *Alerts) hold(m *Message) {
	if a.held.Messages == 0 {
		a.digest = time.AfterFunc(digestAfter, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.sendDigest()
		})
	}
	a.held.add(m)
}

// sendDigest sends what was held back, in one message.
func (a *Alerts) sendDigest() {
	if a.held.Messages == 0 {
		return
	}
	a.queue(a.held.message("within "+span(time.Since(a.held.Since))+", more than are sent one by one", a.host))
	a.held = held{}
}

// repeated returns what is open now, the newest first.
func (a *Alerts) repeated() (all []*Message) {
	a.mu.Lock()
	open := a.open
	for _, m := range a.matters {
		if m.isOpen() {
			all = append(all, m.Message)
		}
	}
	a.mu.Unlock()
	if open == nil {
		return all
	}
	for _, i := range open() {
		c := incident.Change{What: incident.Opened, At: i.Last, Identity: i.Identity, Incident: i}
		all = append(all, messageOf(&c, a.host))
	}
	return all
}

// Close sends what is held back, and delivers what waits, within ctx.
func (a *Alerts) Close(ctx context.Context) {
	a.mu.Lock()
	if a.digest != nil {
		a.digest.Stop()
	}
	a.sendDigest()
	a.closed = true
	old := a.workers
	a.workers = nil
	a.mu.Unlock()
	stopWorkers(ctx, old)
}
