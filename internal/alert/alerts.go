package alert

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tlsratchet/internal/incident"
)

// Options are what [Alerts] work with.
type Options struct {
	// Host is this host's name, as messages tell it.
	Host string
	// PerHour is how many messages an hour are told one by one, of incidents
	// and of notices each; 0 for the default, 20.
	PerHour int
	// Matters are what was told before the start: see [Alerts.Matters].
	Matters []Matter
	// Log gets a line when a destination fails, and when it works again.
	// Default: none.
	Log *slog.Logger
}

const (
	defaultPerHour = 20
	// burst is how many messages may be told at once.
	burst = 5
	// digestAfter is how long messages are held back before they are told
	// together.
	digestAfter = 10 * time.Minute
	// sameAfter is how long a notice that says the same is not told again, and
	// maxNotices how many matters are known.
	sameAfter  = 24 * time.Hour
	maxNotices = 100
)

// Alerts tell destinations what happened. The methods may be called at the same
// time; none but Close and Test blocks. Call Close when done.
type Alerts struct {
	host string
	log  *slog.Logger

	mu      sync.Mutex
	closed  bool
	workers []*worker
	// incidents and notices limit what is told one by one: what one does must
	// not silence the other.
	incidents, notices *rate.Limiter
	held               held
	digest             *time.Timer // running while something is held
	open               func() []incident.Incident
	matters            map[string]*Matter
	// gone are the counts of destinations that were replaced.
	gone map[string]Stats
}

// New returns alerts to the destinations.
func New(o Options, to []*Destination) *Alerts {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &Alerts{
		host: o.Host, log: o.Log, matters: make(map[string]*Matter), gone: make(map[string]Stats),
		incidents: rate.NewLimiter(perHour(o.PerHour), burst), notices: rate.NewLimiter(perHour(o.PerHour), burst),
	}
	a.remember(o.Matters)
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

// Follow says what is open, for destinations that must be told again and again:
// [incident.Book.OpenIncidents].
func (a *Alerts) Follow(open func() []incident.Incident) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open = open
}

// SetDestinations replaces the destinations. What the old ones were given is
// still delivered, as far as it can be within ctx.
func (a *Alerts) SetDestinations(ctx context.Context, to []*Destination) {
	a.mu.Lock()
	old := a.workers
	if !a.closed {
		a.startWorkers(to)
	}
	a.mu.Unlock()
	a.stopWorkers(ctx, old)
}

func (a *Alerts) startWorkers(to []*Destination) {
	a.workers = nil
	for _, d := range to {
		w := newWorker(d, a.log, a.repeated)
		a.workers = append(a.workers, w)
		go w.run()
	}
}

// stopWorkers ends workers and keeps their counts.
func (a *Alerts) stopWorkers(ctx context.Context, old []*worker) {
	for _, w := range old {
		w.end()
	}
	for _, w := range old {
		w.wait(ctx)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range old {
		a.gone[w.to.Name] = a.gone[w.to.Name].plus(w.stats())
	}
}

// Change tells of a change: it is the Changed of [incident.Options].
func (a *Alerts) Change(c incident.Change) {
	a.tell(a.incidents, messageOf(&c, a.host))
}

// Notice tells something else. One that says what the last one of its key said
// is left out, for a day; and so is the end of what was not told, or is over.
// An end has the severity of the worst that was told.
func (a *Alerts) Notice(n Notice) {
	m := n.message(a.host)
	if a.isNews(m) {
		a.tell(a.notices, m)
	}
}

// tell hands a message to the destinations, or holds it back.
func (a *Alerts) tell(limit *rate.Limiter, m *Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || !a.wanted(m) {
		return
	}
	now := time.Now()
	gathering := limit == a.incidents && a.held.messages > 0
	if gathering || !limit.AllowN(now, 1) {
		a.hold(m, now)
		return
	}
	a.hand(m)
}

// wanted tells whether any destination is told of a message: what nobody
// wants is no part of the limit.
func (a *Alerts) wanted(m *Message) bool {
	for _, w := range a.workers {
		if w.to.wants(m.Severity) {
			return true
		}
	}
	return false
}

func (a *Alerts) hand(m *Message) {
	for _, w := range a.workers {
		if w.to.wants(m.Severity) {
			w.add(m)
		}
	}
}

// hold keeps a message for the digest.
func (a *Alerts) hold(m *Message, now time.Time) {
	if a.held.messages == 0 {
		a.digest = time.AfterFunc(digestAfter, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.tellHeld()
		})
	}
	a.held.add(m, now)
}

// tellHeld tells what was held back, in one message.
func (a *Alerts) tellHeld() {
	if a.held.messages == 0 {
		return
	}
	a.hand(digestMessage(&a.held, a.host, time.Now()))
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

// Close tells what is held back, and delivers what waits as far as it can be
// within ctx.
func (a *Alerts) Close(ctx context.Context) {
	a.mu.Lock()
	if a.digest != nil {
		a.digest.Stop()
	}
	a.tellHeld()
	a.closed = true
	old := a.workers
	a.workers = nil
	a.mu.Unlock()
	a.stopWorkers(ctx, old)
}
