package status

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/peer/spf"
	"tlsratchet/internal/peer/spf/resolver"
	"tlsratchet/internal/policyservice"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/selfcheck"
	"tlsratchet/milter/wire"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
	"tlsratchet/tlsstate/store/shared"
)

// Scrape writes the metrics that are read at a scrape: what other packages count.
type Scrape struct{ to chan<- prometheus.Metric }

// by are the values of a metric by its first label: numbers, or [by] the next
// one.
type by map[string]any

// counter and gauge write a metric whose value is a number, a bool (1 for true),
// a time (in seconds since 1970), or values [by] the labels.
func (w Scrape) counter(name, help string, value any, labels ...string) {
	w.write(prometheus.CounterValue, prometheus.NewDesc(name, help, labels, nil), value)
}

func (w Scrape) gauge(name, help string, value any, labels ...string) {
	w.write(prometheus.GaugeValue, prometheus.NewDesc(name, help, labels, nil), value)
}

func (w Scrape) write(kind prometheus.ValueType, desc *prometheus.Desc, value any, labels ...string) {
	if all, ok := value.(by); ok {
		for label, v := range all {
			w.write(kind, desc, v, append(labels, label)...)
		}
		return
	}
	w.to <- prometheus.MustNewConstMetric(desc, kind, number(value), labels...)
}

// number panics for a type that no metric has: a test scrapes all of them.
func number(value any) float64 {
	switch v := value.(type) {
	case bool:
		if v {
			return 1
		}
		return 0
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	case time.Time:
		return float64(v.UnixMilli()) / 1e3
	}
	panic(fmt.Sprintf("status: a metric of type %T", value))
}

// Build writes the version of the program, and that of the Go that built it.
func (w Scrape) Build(version, goVersion string) {
	w.gauge("tlsratchet_build_info", "Version of the program; always 1.", by{version: by{goVersion: 1}}, "version", "goversion")
}

// Store writes what the history file counted.
func (w Scrape) Store(n store.Stats) {
	w.counter("tlsratchet_store_reads_total", "Histories read, by where they were found.", by{"memory": n.Hits, "disk": n.Misses}, "from")
	w.counter("tlsratchet_store_damaged_total", "Damaged records found, at the start or since.", n.Damaged)
	w.counter("tlsratchet_store_written_total", "Histories written to the disk.", n.Writes)
	w.counter("tlsratchet_store_commits_total", "Writes of groups of histories, by result; what failed is tried again.",
		by{"ok": n.Commits, "failed": n.FailedCommits}, "result")
	w.gauge("tlsratchet_store_up", "Whether the history file is whole, in its place, written, copied and pruned: 1 if it is.", n.Trouble == "")
	w.gauge("tlsratchet_store_pending", "Histories that wait to be written.", n.Pending)
	w.counter("tlsratchet_store_dropped_total", "Changes dropped because the queue was full; the peer's next message makes them again.", n.Dropped)
	w.counter("tlsratchet_store_refused_total", "Changes refused: dated later than tomorrow, or more new identities from one network than allowed in a day.",
		by{"future": n.Future, "newcomers": n.Refused}, "reason")
}

// Connections writes those of the milter.
func (w Scrape) Connections(n wire.Stats) {
	w.gauge("tlsratchet_connections", "Connections of Postfix that are open.", n.Open)
	w.counter("tlsratchet_connections_accepted_total", "Connections accepted.", n.Accepted)
	w.counter("tlsratchet_connections_closed_total", "Connections closed by tlsratchet, by reason.", by{
		"over_limit": n.OverLimit, "not_milter": n.NotMilter, "bad_frame": n.BadFrame,
		"frame_too_big": n.FrameTooBig, "timeout": n.Timeouts, "broken": n.Broken,
	}, "reason")
}

// PolicyService writes what the policy service counted: zeros where it is off.
func (w Scrape) PolicyService(n policyservice.Stats) {
	w.gauge("tlsratchet_policy_service_connections", "Connections of Postfix to the policy service that are open.", n.Open)
	w.counter("tlsratchet_policy_service_connections_accepted_total", "Connections to the policy service accepted.", n.Accepted)
	w.counter("tlsratchet_policy_service_connections_closed_total", "Connections to the policy service closed by tlsratchet, by reason.",
		by{"over_limit": n.OverLimit, "not_policy": n.Refused, "timeout": n.Timeouts}, "reason")
	w.counter("tlsratchet_policy_service_requests_total", "Requests answered by the policy service: one a recipient, and one at the end of a message.", n.Requests)
	w.counter("tlsratchet_policy_service_errors_total", "Internal failures of the policy service, which then has no opinion, by kind.",
		by{"no_address": n.NoFacts, "callback": n.Failures, "accept": n.AcceptErrors}, "kind")
}

// Errors writes counts of failures: sessions that could not be judged or remembered,
// messages without macros, messages that the milter let through, connections that could
// not be accepted, and bugs in asking the shared server.
func (w Scrape) Errors(unjudged, noMacros, callback uint64, accept int64, sharing uint64) {
	w.counter("tlsratchet_errors_total", "Internal failures after which mail was accepted, by kind.", by{
		"unjudged": unjudged, "no_macros": noMacros, "callback": callback, "accept": accept, "shared": sharing,
	}, "kind")
}

// Census writes nothing before the first walk ended.
func (w Scrape) Census(c Count) {
	if c.At.IsZero() {
		return
	}
	known, pinned := by{}, by{}
	for k := tlsstate.Address; k <= tlsstate.LastKind; k++ {
		known[k.String()], pinned[k.String()] = c.Known[k], c.Pinned[k]
	}
	w.gauge("tlsratchet_identities", "Identities with a history in the memory of this host, at the last count.", known, "kind")
	w.gauge("tlsratchet_identities_pinned", "Identities with a pin that holds in the memory of this host, at the last count.", pinned, "kind")
}

// Incidents writes how many are open, and how many events found no room on their way to
// them since the start.
func (w Scrape) Incidents(open int, dropped uint64) {
	w.gauge("tlsratchet_incidents_open", "Incidents that are open.", open)
	w.counter("tlsratchet_incidents_dropped_total", "Events dropped before they reached incidents and alerts, because the queue was full.", dropped)
}

// Alerts writes those by destination; its name is the operator's.
func (w Scrape) Alerts(all map[string]alert.Stats) {
	values := by{}
	for name, n := range all {
		values[name] = by{"sent": n.Delivered, "failed": n.Failed, "dropped": n.Dropped}
	}
	w.counter("tlsratchet_alerts_total", "Alerts by destination and result.", values, "destination", "result")
}

// Breaker writes the state of the circuit breaker.
func (w Scrape) Breaker(s ratchet.BreakerState) {
	states := by{}
	for a := range ratchet.Excused { // that is one peer's
		states[a.String()] = a == s.Holds()
	}
	w.gauge("tlsratchet_breaker_state", "State of the circuit breaker: 1 for the present one, 0 for the others.", states, "answer")
	w.gauge("tlsratchet_breaker_names", "Pinned domains that downgraded within the circuit breaker's window.", len(s.Recent))
}

// SelfCheck writes nothing until somebody answered.
func (w Scrape) SelfCheck(r selfcheck.Result) {
	if r.At.IsZero() {
		return
	}
	problems := by{}
	for p := selfcheck.Unknown; p <= selfcheck.NotOffered; p++ {
		problems[p.String()] = p == r.Problem(time.Now())
	}
	w.gauge("tlsratchet_selfcheck_problem", "Result of the newest self-check: 1 for the present one, 0 for the others.", problems, "problem")
	w.gauge("tlsratchet_selfcheck_timestamp_seconds", "Time of the newest self-check of STARTTLS.", r.At)
	if !r.CertNotAfter.IsZero() {
		w.gauge("tlsratchet_selfcheck_certificate_expiry_timestamp_seconds", "Expiry of the certificate of our own MX.", r.CertNotAfter)
	}
}

// Sharing writes what is counted of the shared server, where there is one.
func (w Scrape) Sharing(n shared.Stats) {
	w.gauge("tlsratchet_shared_up", "Whether the shared server answers and accepts changes: 1 if it does.",
		by{"asking": n.Answering, "changes": n.Taking}, "for")
	w.counter("tlsratchet_shared_away_total", "Times that the shared server stopped answering or accepting changes.", n.Away)
	w.counter("tlsratchet_shared_commands_total", "Commands sent to the shared server.", n.Commands)
	w.counter("tlsratchet_shared_asked_total", "Messages that needed an answer of the shared server, by result.",
		by{"in_time": n.Asked - min(n.Late, n.Asked), "late": n.Late, "away": n.Unasked}, "result")
	w.counter("tlsratchet_shared_records_total", "Records on the shared server, by result.", by{
		"written": n.Written, "joined_again": n.Conflicts, "undecodable": n.Undecodable, "refused": n.Refused, "evicted": n.Evicted,
	}, "result")
	w.gauge("tlsratchet_shared_changed", "Histories that wait to be sent to the shared server.", n.Changed)
}

// Senders writes the counts of the proofs of senders, where they are proven.
func (w Scrape) Senders(n spf.Stats, dns resolver.Stats) {
	results := by{}
	for r, count := range n.Results {
		results[spf.Result(r).String()] = count
	}
	w.counter("tlsratchet_spf_proofs_total", "Proofs of senders by SPF, by result.", results, "result")
	w.counter("tlsratchet_spf_dropped_total", "Proofs not tried because too many waited; the peer's next message asks for them again.", n.Dropped)
	w.gauge("tlsratchet_spf_waiting", "Proofs that wait or are under way.", n.Waiting)
	w.counter("tlsratchet_dns_questions_total", "Questions to DNS for these proofs, by where they were answered.",
		by{"cache": dns.Hits, "network": dns.Questions}, "from")
	w.counter("tlsratchet_dns_failures_total", "Questions to DNS without a usable answer: time-outs, server failures, bad answers.", dns.Failures)
}

// Outbound writes the counts of the sending side: zeros where it is off.
func (w Scrape) Outbound(d outbound.Stats, asked outbound.ServerStats, follower outbound.FollowerStats) {
	sent := by{"unknown": d.Unknown}
	for l, count := range d.Sent {
		sent[tlsstate.Level(l).String()] = count
	}
	w.counter("tlsratchet_outbound_deliveries_total", "Deliveries of our own mail, one a recipient, by security level; unknown where lines of the log are missing.", sent, "level")
	w.counter("tlsratchet_outbound_held_total", "Deliveries in clear that were deferred, or that outbound.action = hold would have deferred.",
		by{"hold": d.Held, "observe": d.WouldHold}, "action")
	w.counter("tlsratchet_outbound_clear_after_failure_total", "Deliveries in clear after a failed TLS handshake.", d.AfterFailure)
	w.counter("tlsratchet_outbound_lookups_total", "Look-ups of destinations by Postfix, by answer.",
		by{"encrypt": asked.Encrypts, "none": asked.Lookups - min(asked.Encrypts, asked.Lookups)}, "answer")
	w.counter("tlsratchet_outbound_errors_total", "Look-ups and deliveries that could not be judged; mail was delivered as without tlsratchet.", d.Failures)
	w.counter("tlsratchet_outbound_log_lines_total", "Lines about deliveries that were read in Postfix's log.", follower.Lines)
	w.gauge("tlsratchet_outbound_outage", "Whether so many destinations fail at once that our own network is at fault: 1 if they do.", d.Outage)
	w.gauge("tlsratchet_outbound_log_up", "Whether Postfix's log can be read: 1 if it can.", follower.Fault == "")
}

// source has a scrape written, from any goroutine. It must not block for long.
type source func(Scrape)

// Describe is a part of [prometheus.Collector]. It describes nothing: what is
// exported is known at each scrape.
func (s source) Describe(chan<- *prometheus.Desc) {}

// Collect is a part of [prometheus.Collector].
func (s source) Collect(to chan<- prometheus.Metric) { s(Scrape{to}) }
