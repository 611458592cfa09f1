package status

import (
	"github.com/prometheus/client_golang/prometheus"

	"tlsratchet/internal/outbound"
	"tlsratchet/tlsstate"
)

// Outbound are the counts of the sending side since the start.
type Outbound struct {
	Deliveries outbound.Stats
	Server     outbound.ServerStats
	Follower   outbound.FollowerStats
}

func (s Sources) outbound() []prometheus.Collector {
	return []prometheus.Collector{
		counter("tlsratchet_outbound_deliveries_total", "Deliveries of our own mail, one a recipient, by security level; unknown where lines of the log are missing.", label("level"),
			func(e emit) {
				d := s.Outbound().Deliveries
				for l, n := range d.Sent {
					e(float64(n), tlsstate.Level(l).String())
				}
				e(float64(d.Unknown), "unknown")
			}),
		counter("tlsratchet_outbound_held_total", "Deliveries in clear that were deferred, or that outbound.action = hold would have deferred.", label("action"),
			func(e emit) {
				d := s.Outbound().Deliveries
				e(float64(d.Held), "hold")
				e(float64(d.WouldHold), "observe")
			}),
		counter("tlsratchet_outbound_clear_after_failure_total", "Deliveries in clear after a failed TLS handshake.", nil,
			func(e emit) { e(float64(s.Outbound().Deliveries.AfterFailure)) }),
		counter("tlsratchet_outbound_lookups_total", "Look-ups of destinations by Postfix, by answer.", label("answer"),
			func(e emit) {
				n := s.Outbound().Server
				e(float64(n.Encrypts), "encrypt")
				e(float64(n.Lookups-min(n.Encrypts, n.Lookups)), "none")
			}),
		counter("tlsratchet_outbound_errors_total", "Look-ups and deliveries that could not be judged; mail was delivered as without tlsratchet.", nil,
			func(e emit) { e(float64(s.Outbound().Deliveries.Failures)) }),
		counter("tlsratchet_outbound_log_lines_total", "Lines of Postfix's log that were read.", nil,
			func(e emit) { e(float64(s.Outbound().Follower.Lines)) }),
		gauge("tlsratchet_outbound_log_up", "Whether Postfix's log can be read: 1 if it can.", nil,
			func(e emit) { e(truth(s.Outbound().Follower.Fault == "")) }),
	}
}
