package status

import "github.com/prometheus/client_golang/prometheus"

// Sharing is about the server where the memories of several hosts meet.
type Sharing struct {
	// Answering reports whether messages may ask it, Taking whether it takes
	// changes, and Away counts the times that one of both ended.
	Answering, Taking bool
	Away              uint64
	// Commands were sent; Asked, Late and Unasked are messages that asked in
	// time, in vain, and not at all because it was away.
	Commands, Asked, Late, Unasked uint64
	// Written and Conflicts are records written, and those that another host
	// had changed meanwhile; Undecodable, Refused and Evicted are records there
	// that were left alone, that can't be, and that it threw away.
	Written, Conflicts, Undecodable, Refused, Evicted uint64
	// Changed is how many histories wait to be sent.
	Changed int
}

func (s Sources) sharing() []prometheus.Collector {
	return []prometheus.Collector{
		gauge("tlsratchet_shared_up", "Whether the shared server answers and accepts changes: 1 if it does.", label("for"),
			func(e emit) { n := s.Sharing(); e(truth(n.Answering), "asking"); e(truth(n.Taking), "changes") }),
		counter("tlsratchet_shared_away_total", "Times that the shared server stopped answering or accepting changes.", nil,
			func(e emit) { e(float64(s.Sharing().Away)) }),
		counter("tlsratchet_shared_commands_total", "Commands sent to the shared server.", nil,
			func(e emit) { e(float64(s.Sharing().Commands)) }),
		counter("tlsratchet_shared_asked_total", "Messages that needed an answer of the shared server, by result.", label("result"),
			func(e emit) {
				n := s.Sharing()
				e(float64(n.Asked-min(n.Late, n.Asked)), "in_time")
				e(float64(n.Late), "late")
				e(float64(n.Unasked), "away")
			}),
		counter("tlsratchet_shared_records_total", "Records on the shared server, by result.", label("result"),
			func(e emit) {
				n := s.Sharing()
				e(float64(n.Written), "written")
				e(float64(n.Conflicts), "joined_again")
				e(float64(n.Undecodable), "undecodable")
				e(float64(n.Refused), "refused")
				e(float64(n.Evicted), "evicted")
			}),
		gauge("tlsratchet_shared_changed", "Histories that wait to be sent to the shared server.", nil,
			func(e emit) { e(float64(s.Sharing().Changed)) }),
	}
}
