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
	// of notices each: 1 or more.
	PerHour int
	// State is that of the last run: see [Alerts.State].
	State State
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
)

// Alerts send messages to destinations. The methods may be called at the same
// time; only Close and SetDestinations block. Call Close when done.
type Alerts struct {
	host string
	log  *slog.Logger
	open func() []incident.Incident

	mu      sync.Mutex
	closed  bool
	workers []*worker
	// incidents and notices limit what is sent one by one: neither must use up
	// the limit of the other.
	incidents, notices *rate.Limiter
	held               held
	digest             *time.Timer // running while something is held
	matters            map[string]Matter
	known              []string          // the names of the destinations
	stats              map[string]*Stats // by the names of the destinations
}

// New returns alerts without destinations: see SetDestinations.
func New(o Options) *Alerts {
	a := &Alerts{
		host: o.Host, log: o.Log, open: o.Open, matters: make(map[string]Matter), stats: make(map[string]*Stats),
		incidents: rate.NewLimiter(perHour(o.PerHour), burst), notices: rate.NewLimiter(perHour(o.PerHour), burst),
	}
	a.restore(o.State)
	return a
}

func perHour(n int) rate.Limit { return rate.Limit(float64(n) / time.Hour.Seconds()) }

// SetPerHour replaces the [Options.PerHour].
func (a *Alerts) SetPerHour(n int) {
	a.incidents.SetLimit(perHour(n))
	a.notices.SetLimit(perHour(n))
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
	stopWorkers(ctx, old)
}

func (a *Alerts) startWorkers(to []*Destination) {
	before := a.known
	a.workers, a.known = nil, nil
	for _, d := range to {
		if a.stats[d.Name] == nil {
			a.stats[d.Name] = &Stats{}
		}
		a.workers = append(a.workers, newWorker(d, a, !slices.Contains(before, d.Name)))
		a.known = append(a.known, d.Name)
	}
}

// stopWorkers has workers deliver what waits, within ctx, and end: every
// destination heeds its context.
func stopWorkers(ctx context.Context, old []*worker) {
	for _, w := range old {
		close(w.queue) // nobody adds to it any more
		defer context.AfterFunc(ctx, w.cancel)()
	}
	for _, w := range old {
		<-w.done
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

// emit queues a message for the destinations, or holds it back for the digest.
// What no destination gets does not count for the limit.
func (a *Alerts) emit(limit *rate.Limiter, m *Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	wanted := slices.ContainsFunc(a.workers, func(w *worker) bool { return w.to.wants(m) })
	gathering := limit == a.incidents && a.held.Messages > 0
	switch {
	case !wanted: // as after the end
	case !gathering && limit.Allow():
		a.queue(m)
	default:
		if a.held.Messages == 0 {
			a.digest = time.AfterFunc(digestAfter, func() {
				a.mu.Lock()
				defer a.mu.Unlock()
				a.sendDigest()
			})
		}
		a.held.add(m)
	}
}

func (a *Alerts) queue(m *Message) {
	for _, w := range a.workers {
		if w.to.wants(m) {
			w.add(m)
		}
	}
}

// sendDigest sends what was held back, in one message.
func (a *Alerts) sendDigest() {
	if a.held.Messages > 0 {
		a.queue(a.held.message("within "+span(time.Since(a.held.Since))+", more than are sent one by one", a.host))
		a.held = held{}
	}
}

// standing returns what is open now and wanted by a destination, the newest first;
// not all of it for one that repeats.
func (a *Alerts) standing(d *Destination) (all []*Message) {
	for _, m := range a.matters {
		if d.wants(m.Message) {
			all = append(all, m.Message)
		}
	}
	for _, i := range a.open() {
		if Of(&i) >= d.Least && !(d.repeats && len(all) >= maxRepeated) {
			c := incident.Change{What: incident.Opened, At: i.Last, Identity: i.Identity, Incident: i}
			all = append(all, messageOf(&c, a.host))
		}
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
	old := a.workers
	a.closed, a.workers = true, nil
	a.mu.Unlock()
	stopWorkers(ctx, old)
}
