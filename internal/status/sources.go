package status

import (
	"github.com/prometheus/client_golang/prometheus"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/peer/spf"
	"tlsratchet/internal/peer/spf/resolver"
	"tlsratchet/internal/policyservice"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/selfcheck"
	"tlsratchet/milter/wire"
	"tlsratchet/tlsstate/store"
	"tlsratchet/tlsstate/store/shared"
)

// Sources are counts of other packages. Each is read once at a scrape, from any
// goroutine, and must not block for long. What is nil is not exported.
type Sources struct {
	Build       Build
	Store       func() store.Stats
	Connections func() wire.Stats
	Errors      func() Errors
	Census      func() Count
	// Incidents returns how many are open, and how many events found no room on
	// their way to them since the start.
	Incidents func() (open int, dropped uint64)
	// Alerts returns the counts by destination; its name is the operator's.
	Alerts    func() map[string]alert.Stats
	Breaker   func() ratchet.BreakerState
	SelfCheck func() selfcheck.Result
	Sharing   func() shared.Stats
	Senders   func() (spf.Stats, resolver.Stats)
	Outbound  func() Outbound
	// PolicyService returns zeros where it is off.
	PolicyService func() policyservice.Stats
}

// Build is which program this is.
type Build struct{ Version, Go string }

// Errors are counts of what went wrong since the start, and let a message
// through.
type Errors struct {
	// Unjudged are sessions that could not be judged or remembered, NoMacros
	// messages whose macros did not come, Callback those let through by the
	// milter, Backend connections that got no milter, Accept failed calls.
	Unjudged, NoMacros, Callback, Backend, Accept uint64
}

// Outbound are the counts of the sending side since the start.
type Outbound struct {
	Deliveries outbound.Stats
	Server     outbound.ServerStats
	Follower   outbound.FollowerStats
}

// Describe is a part of [prometheus.Collector]. It describes nothing: what is
// exported is known at each scrape.
func (s Sources) Describe(chan<- *prometheus.Desc) {}

// Collect is a part of [prometheus.Collector].
func (s Sources) Collect(to chan<- prometheus.Metric) {
	w := scrape{to}
	w.gauge("tlsratchet_build_info", "Version of the program; always 1.", by{s.Build.Version: by{s.Build.Go: 1}}, "version", "goversion")
	read(w, s.Store, scrape.store)
	read(w, s.Connections, scrape.connections)
	read(w, s.Errors, scrape.errors)
	read(w, s.Census, scrape.census)
	read(w, s.Alerts, scrape.alerts)
	read(w, s.Breaker, scrape.breaker)
	read(w, s.SelfCheck, scrape.selfCheck)
	read(w, s.Sharing, scrape.sharing)
	read(w, s.Outbound, scrape.outbound)
	read(w, s.PolicyService, scrape.policyService)
	if s.Incidents != nil {
		w.incidents(s.Incidents())
	}
	if s.Senders != nil {
		w.senders(s.Senders())
	}
}

// read reads a source that is there, and writes it.
func read[T any](w scrape, source func() T, write func(scrape, T)) {
	if source != nil {
		write(w, source())
	}
}
