package status

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/selfcheck"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// Sources are counts of other packages, read at each scrape. They are called
// from any goroutine and must not block for long. What is nil is not exported.
type Sources struct {
	Build       Build
	Store       func() store.Stats
	Connections func() Connections
	Errors      func() Errors
	Census      func() Count
	Incidents   func() Incidents
	Alerts      func() []Destination
	Breaker     func() ratchet.BreakerState
	SelfCheck   func() selfcheck.Result
	Sharing     func() Sharing
	Senders     func() Senders
	Outbound    func() Outbound
}

// Build is which program this is.
type Build struct{ Version, Go string }

// Connections are counts of the milter's connections since the start, but for
// Open.
type Connections struct {
	Open, Accepted int64
	// Those that were closed, by reason.
	OverLimit, NotMilter, BadFrame, FrameTooBig, Timeouts, Broken int64
}

// Errors are counts of what went wrong since the start, and let a message
// through.
type Errors struct {
	// Unjudged are sessions that could not be judged or remembered, NoMacros
	// messages whose macros did not come, Callback those let through by the
	// milter, Backend connections that got no milter, Accept failed calls.
	Unjudged, NoMacros, Callback, Backend, Accept uint64
}

// Incidents are counts of incidents.
type Incidents struct {
	// Open is how many there are now; Dropped counts events that found no room
	// on their way to them since the start.
	Open    int
	Dropped uint64
}

// Destination is one that alerts go to.
type Destination struct {
	// Name is the operator's, from the configuration.
	Name string
	// Sent and Failed count deliveries, Dropped alerts that found no room.
	Sent, Failed, Dropped uint64
}

// scraped is a metric that is read at each scrape. What read doesn't emit is
// not there.
type scraped struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(emit emit)
}

type emit func(value float64, labels ...string)

// Describe is a part of [prometheus.Collector].
func (s scraped) Describe(ch chan<- *prometheus.Desc) { ch <- s.desc }

// Collect is a part of [prometheus.Collector].
func (s scraped) Collect(ch chan<- prometheus.Metric) {
	s.read(func(value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(s.desc, s.kind, value, labels...)
	})
}

func gauge(name, help string, labels []string, read func(emit)) prometheus.Collector {
	return scraped{prometheus.NewDesc(name, help, labels, nil), prometheus.GaugeValue, read}
}

func counter(name, help string, labels []string, read func(emit)) prometheus.Collector {
	return scraped{prometheus.NewDesc(name, help, labels, nil), prometheus.CounterValue, read}
}

func label(names ...string) []string { return names }

// collectors declares all that the sources know.
func (s Sources) collectors() []prometheus.Collector {
	all := []prometheus.Collector{gauge("tlsratchet_build_info", "Version of the program; always 1.", label("version", "goversion"),
		func(e emit) { e(1, s.Build.Version, s.Build.Go) })}
	for _, part := range []struct {
		there bool
		make  func() []prometheus.Collector
	}{
		{s.Store != nil, s.storeReads},
		{s.Store != nil, s.storeWrites},
		{s.Connections != nil, s.connections},
		{s.Errors != nil, s.errors},
		{s.Census != nil, s.census},
		{s.Incidents != nil, s.incidents},
		{s.Alerts != nil, s.alerts},
		{s.Breaker != nil, s.breaker},
		{s.SelfCheck != nil, s.selfCheck},
		{s.SelfCheck != nil, s.certificate},
		{s.Sharing != nil, s.sharing},
		{s.Senders != nil, s.senders},
		{s.Outbound != nil, s.outbound},
	} {
		if part.there {
			all = append(all, part.make()...)
		}
	}
	return all
}

func (s Sources) storeReads() []prometheus.Collector {
	return []prometheus.Collector{
		counter("tlsratchet_store_reads_total", "Histories read, by where they were found.", label("from"),
			func(e emit) { st := s.Store(); e(float64(st.Hits), "memory"); e(float64(st.Misses), "disk") }),
		counter("tlsratchet_store_damaged_total", "Damaged records found, at the start or since.", nil,
			func(e emit) { e(float64(s.Store().Damaged)) }),
	}
}

func (s Sources) storeWrites() []prometheus.Collector {
	return []prometheus.Collector{
		counter("tlsratchet_store_written_total", "Histories written to the disk.", nil,
			func(e emit) { e(float64(s.Store().Writes)) }),
		counter("tlsratchet_store_commits_total", "Writes of groups of histories, by result; what failed is tried again.", label("result"),
			func(e emit) { st := s.Store(); e(float64(st.Commits), "ok"); e(float64(st.FailedCommits), "failed") }),
		gauge("tlsratchet_store_pending", "Histories that wait to be written.", nil,
			func(e emit) { e(float64(s.Store().Pending)) }),
		counter("tlsratchet_store_dropped_total", "Changes dropped because the queue was full; the peer's next message makes them again.", nil,
			func(e emit) { e(float64(s.Store().Dropped)) }),
		counter("tlsratchet_store_refused_total", "Changes refused: dated later than tomorrow, or more new identities from one network than allowed in a day.", label("reason"),
			func(e emit) { st := s.Store(); e(float64(st.Future), "future"); e(float64(st.Refused), "newcomers") }),
	}
}

func (s Sources) connections() []prometheus.Collector {
	return []prometheus.Collector{
		gauge("tlsratchet_connections", "Connections of Postfix that are open.", nil,
			func(e emit) { e(float64(s.Connections().Open)) }),
		counter("tlsratchet_connections_accepted_total", "Connections accepted.", nil,
			func(e emit) { e(float64(s.Connections().Accepted)) }),
		counter("tlsratchet_connections_closed_total", "Connections closed by tlsratchet, by reason.", label("reason"),
			func(e emit) {
				c := s.Connections()
				e(float64(c.OverLimit), "over_limit")
				e(float64(c.NotMilter), "not_milter")
				e(float64(c.BadFrame), "bad_frame")
				e(float64(c.FrameTooBig), "frame_too_big")
				e(float64(c.Timeouts), "timeout")
				e(float64(c.Broken), "broken")
			}),
	}
}

func (s Sources) errors() []prometheus.Collector {
	return []prometheus.Collector{counter("tlsratchet_errors_total", "Internal failures after which mail was accepted, by kind.", label("kind"),
		func(e emit) {
			n := s.Errors()
			e(float64(n.Unjudged), "unjudged")
			e(float64(n.NoMacros), "no_macros")
			e(float64(n.Callback), "callback")
			e(float64(n.Backend), "backend")
			e(float64(n.Accept), "accept")
		})}
}

func (s Sources) census() []prometheus.Collector {
	each := func(e emit, count [kindsOfIdentity]int) {
		for k := tlsstate.Address; k <= tlsstate.LastKind; k++ {
			e(float64(count[k]), k.String())
		}
	}
	return []prometheus.Collector{
		gauge("tlsratchet_identities", "Identities with a history, at the last count.", label("kind"), func(e emit) {
			if c := s.Census(); !c.At.IsZero() {
				each(e, c.Known)
			}
		}),
		gauge("tlsratchet_identities_pinned", "Identities with a pin that holds, at the last count.", label("kind"), func(e emit) {
			if c := s.Census(); !c.At.IsZero() {
				each(e, c.Pinned)
			}
		}),
	}
}

func (s Sources) incidents() []prometheus.Collector {
	return []prometheus.Collector{
		gauge("tlsratchet_incidents_open", "Incidents that are open.", nil,
			func(e emit) { e(float64(s.Incidents().Open)) }),
		counter("tlsratchet_incidents_dropped_total", "Events dropped before they reached incidents and alerts, because the queue was full.", nil,
			func(e emit) { e(float64(s.Incidents().Dropped)) }),
	}
}

func (s Sources) alerts() []prometheus.Collector {
	return []prometheus.Collector{counter("tlsratchet_alerts_total", "Alerts by destination and result.", label("destination", "result"),
		func(e emit) {
			for _, d := range s.Alerts() {
				e(float64(d.Sent), d.Name, "sent")
				e(float64(d.Failed), d.Name, "failed")
				e(float64(d.Dropped), d.Name, "dropped")
			}
		})}
}

func (s Sources) breaker() []prometheus.Collector {
	return []prometheus.Collector{
		gauge("tlsratchet_breaker_state", "State of the circuit breaker: 1 for the present one, 0 for the others.", label("answer"),
			func(e emit) {
				state := s.Breaker()
				given := state.Holds()
				for a := range ratchet.Answer(answers) {
					e(truth(a == given), a.String())
				}
			}),
		gauge("tlsratchet_breaker_names", "Pinned domains that downgraded within the circuit breaker's window.", nil,
			func(e emit) { e(float64(len(s.Breaker().Recent))) }),
	}
}

// selfCheck is not there until somebody answered.
func (s Sources) selfCheck() []prometheus.Collector {
	tried := func(read func(emit, selfcheck.Result)) func(emit) {
		return func(e emit) {
			if r := s.SelfCheck(); !r.At.IsZero() {
				read(e, r)
			}
		}
	}
	return []prometheus.Collector{
		gauge("tlsratchet_selfcheck_problem", "Result of the newest self-check: 1 for the present one, 0 for the others.", label("problem"),
			tried(func(e emit, r selfcheck.Result) {
				found := r.Problem(time.Now())
				for p := selfcheck.Unknown; p <= selfcheck.NotOffered; p++ {
					e(truth(p == found), p.String())
				}
			})),
		gauge("tlsratchet_selfcheck_timestamp_seconds", "Time of the newest self-check of STARTTLS.", nil,
			tried(func(e emit, r selfcheck.Result) { e(seconds(r.At)) })),
	}
}

func (s Sources) certificate() []prometheus.Collector {
	return []prometheus.Collector{
		gauge("tlsratchet_selfcheck_certificate_expiry_timestamp_seconds", "Expiry of the certificate of our own MX.", nil,
			func(e emit) {
				if r := s.SelfCheck(); !r.CertNotAfter.IsZero() {
					e(seconds(r.CertNotAfter))
				}
			}),
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }
