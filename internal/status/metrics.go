package status

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

const (
	levels   = int(tlsstate.TLS13) + 1
	outcomes = int(tlsstate.Downgraded) + 1
	kinds    = int(tlsstate.Unauthenticated) + 1
	actions  = int(tlsstate.Reject) + 1
	answers  = int(ratchet.Excused) + 1
)

// Metrics are the counters of events, and what is read from elsewhere at each
// scrape, in a registry of their own. Take and Observe are on the mail path: they
// allocate nothing.
type Metrics struct {
	registry *prometheus.Registry

	messages [levels]prometheus.Counter
	verdicts [outcomes][kinds]prometheus.Counter
	done     [actions]prometheus.Counter
	undone   [actions]prometheus.Counter
	limited  [answers]prometheus.Counter
	took     [ratchet.Learning + 1]prometheus.Observer
}

// NewMetrics returns the metrics of a daemon. write writes what others count, at
// each scrape and from any goroutine, and must not block for long.
func NewMetrics(write func(Scrape)) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.events()
	m.latencies()
	m.registry.MustRegister(source(write))
	return m
}

// events declares what Take counts.
func (m *Metrics) events() {
	messages := m.counters("tlsratchet_messages_total",
		"Messages, judged or exempt, by the security level of their session.", "level")
	for l := range m.messages {
		m.messages[l] = messages.WithLabelValues(tlsstate.Level(l).String())
	}
	verdicts := m.counters("tlsratchet_verdicts_total",
		"Messages by verdict; kind is that of a downgrade.", "outcome", "kind")
	for o := range m.verdicts {
		for k := range m.verdicts[o] {
			if (o == int(tlsstate.Downgraded)) == (k != int(tlsstate.NoDowngrade)) {
				m.verdicts[o][k] = verdicts.WithLabelValues(tlsstate.Outcome(o).String(), tlsstate.Downgrade(k).String())
			}
		}
	}
	acts := m.counters("tlsratchet_actions_total",
		"Downgraded messages by action; done is no where the message ended before the action.", "action", "done")
	for a := range m.done {
		m.done[a] = acts.WithLabelValues(tlsstate.Action(a).String(), "yes")
		m.undone[a] = acts.WithLabelValues(tlsstate.Action(a).String(), "no")
	}
	limited := m.counters("tlsratchet_breaker_limited_total",
		"Downgraded messages whose action the circuit breaker limited, by its answer.", "answer")
	for a := ratchet.Softened; a <= ratchet.Excused; a++ {
		m.limited[a] = limited.WithLabelValues(a.String())
	}
}

// latencies declares what Observe takes: native histograms, with
// classic buckets from a microsecond to a quarter of a second.
func (m *Metrics) latencies() {
	decide := prometheus.NewHistogram(histogram("tlsratchet_decide_seconds",
		"Time of a decision. At most 100 a second are timed and counted here; tlsratchet_messages_total counts all."))
	store := prometheus.NewHistogramVec(histogram("tlsratchet_store_seconds",
		"Time to load a history (for the decisions that are timed), or to learn."), []string{"operation"})
	m.registry.MustRegister(decide, store)
	m.took = [...]prometheus.Observer{
		ratchet.Deciding: decide, ratchet.Loading: store.WithLabelValues("load"), ratchet.Learning: store.WithLabelValues("learn"),
	}
}

func histogram(name, help string) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help,
		Buckets:                         prometheus.ExponentialBuckets(1e-6, 4, 10),
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

// Take counts a message. It never blocks.
func (m *Metrics) Take(e ratchet.Event) {
	v := &e.Decision.Verdict
	m.messages[min(int(e.Session.Level), levels-1)].Inc()
	switch {
	case v.Outcome > tlsstate.Downgraded: // not known here
		m.verdicts[tlsstate.Unknown][tlsstate.NoDowngrade].Inc()
		return
	case v.Outcome < tlsstate.Downgraded:
		m.verdicts[v.Outcome][tlsstate.NoDowngrade].Inc()
		return
	}
	m.verdicts[v.Outcome][max(1, min(int(v.Kind), kinds-1))].Inc()
	by := &m.done
	if !e.Done {
		by = &m.undone
	}
	by[min(int(e.AppliedAction()), actions-1)].Inc()
	if d := e.Decision; d.Action < d.Unlimited && d.Breaker > ratchet.Armed && int(d.Breaker) < answers {
		m.limited[d.Breaker].Inc()
	}
}

// Observe takes the time of an operation; it is for [ratchet.Options].
func (m *Metrics) Observe(op ratchet.Operation, took time.Duration) {
	m.took[op].Observe(took.Seconds())
}
