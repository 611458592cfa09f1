package status

import "github.com/prometheus/client_golang/prometheus"

// Senders is about the proofs of senders by SPF, since the start but for
// Waiting.
type Senders struct {
	// Proofs by how they ended: see [tlsratchet/peer/spf.Result].
	Proven, NotPassed, Wide, NoAnswer, Limited, Failed uint64
	// Dropped were not tried because too much waited; Waiting is how many wait
	// or are being tried.
	Dropped uint64
	Waiting int
	// Cached and Asked are questions to DNS by who answered them, our cache or
	// the network; of those asked Unanswered had no answer.
	Cached, Asked, Unanswered uint64
}

func (s Sources) senders() []prometheus.Collector {
	return []prometheus.Collector{
		counter("tlsratchet_spf_proofs_total", "Proofs of senders by SPF, by result.", label("result"),
			func(e emit) {
				n := s.Senders()
				e(float64(n.Proven), "proven")
				e(float64(n.NotPassed), "not_passed")
				e(float64(n.Wide), "wide")
				e(float64(n.NoAnswer), "no_answer")
				e(float64(n.Limited), "limited")
				e(float64(n.Failed), "failed")
			}),
		counter("tlsratchet_spf_dropped_total", "Proofs not tried because too many waited; the peer's next message asks for them again.", nil,
			func(e emit) { e(float64(s.Senders().Dropped)) }),
		gauge("tlsratchet_spf_waiting", "Proofs that wait or are under way.", nil,
			func(e emit) { e(float64(s.Senders().Waiting)) }),
		counter("tlsratchet_dns_questions_total", "Questions to DNS for these proofs, by where they were answered.", label("from"),
			func(e emit) { n := s.Senders(); e(float64(n.Cached), "cache"); e(float64(n.Asked), "network") }),
		counter("tlsratchet_dns_failures_total", "Questions to DNS without a usable answer: time-outs, server failures, bad answers.", nil,
			func(e emit) { e(float64(s.Senders().Unanswered)) }),
	}
}
