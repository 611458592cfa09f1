package status_test

import (
	"bytes"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/peer/spf"
	"tlsratchet/internal/peer/spf/resolver"
	"tlsratchet/internal/policyservice"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/selfcheck"
	"tlsratchet/internal/status"
	"tlsratchet/milter/wire"
	"tlsratchet/test/promtool"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
	"tlsratchet/tlsstate/store/shared"
)

var update = flag.Bool("update", false, "write the golden files anew")

// counts are those of a daemon that has seen a lot.
func counts(w status.Scrape) {
	proofs := spf.Stats{Dropped: 7, Waiting: 8}
	for r, count := range map[spf.Result]uint64{spf.Proven: 50, spf.NotPassed: 4, spf.Wide: 3, spf.NoAnswer: 2, spf.Limited: 6, spf.Failed: 1} {
		proofs.Results[r] = count
	}
	w.Build("1.2.3", "go1.26.0")
	w.Store(store.Stats{Hits: 90, Misses: 10, Writes: 7, Commits: 3, FailedCommits: 1, Dropped: 2, Damaged: 4, Future: 5, Refused: 6, Pending: 8})
	w.Connections(wire.Stats{DeskStats: wire.DeskStats{GateStats: wire.GateStats{Open: 1, Accepted: 20, OverLimit: 3, AcceptErrors: 5}, Timeouts: 7, Broken: 8}, NotMilter: 4, BadFrame: 5, FrameTooBig: 6})
	w.Errors(1, 2, 3, 5, 12)
	w.Census(status.Count{At: noon, Known: [8]int{0, 400, 300, 200, 1}, Pinned: [8]int{0, 40, 30, 20, 1}})
	w.Incidents(3, 1)
	w.Sharing(shared.Stats{Answering: true, Away: 2, Commands: 30, Asked: 9, Late: 1, Unasked: 4, Written: 5, Conflicts: 6, Undecodable: 7, Refused: 8, Evicted: 10, Changed: 11, Panics: 12})
	w.Senders(proofs, resolver.Stats{Hits: 90, Questions: 30, Failures: 5})
	w.PolicyService(policyservice.Stats{
		DeskStats: wire.DeskStats{GateStats: wire.GateStats{Open: 2, Accepted: 30, OverLimit: 4, AcceptErrors: 5}, Refused: 8, Timeouts: 9},
		Requests:  600, NoFacts: 7, Failures: 10,
	})
	w.Outbound(
		outbound.Stats{Sent: [4]uint64{9, 1, 20, 300}, Unknown: 2, AfterFailure: 3, Held: 4, WouldHold: 5, Failures: 6, Outage: true},
		outbound.ServerStats{Lookups: 100, Encrypts: 40},
		outbound.FollowerStats{Lines: 7000, Fault: "permission denied"})
	w.Alerts(map[string]alert.Stats{"log": {Delivered: 5}, "chat": {Delivered: 3, Failed: 2, Dropped: 1}})
	w.Breaker(ratchet.BreakerState{Answer: ratchet.Softened, Recent: make([]ratchet.BreakerName, 11)})
	// Long past, so that what it means does not change with the clock.
	w.SelfCheck(selfcheck.Result{At: noon.AddDate(-5, 0, 0), Reachable: true, Offered: true, Handshake: true,
		CertNotBefore: noon.AddDate(-6, 0, 0), CertNotAfter: noon.AddDate(-5, 0, 30)})
}

// nothing is what is known of a daemon that just started.
func nothing(w status.Scrape) {
	w.Census(status.Count{})
	w.SelfCheck(selfcheck.Result{})
}

// verdicts are one of each outcome and kind.
func verdicts() (all []tlsstate.Verdict) {
	for o := tlsstate.Unknown; o < tlsstate.Downgraded; o++ {
		all = append(all, tlsstate.Verdict{Outcome: o, Identity: address("192.0.2.10")})
	}
	for k := tlsstate.Stripped; k <= tlsstate.Unauthenticated; k++ {
		all = append(all, tlsstate.Verdict{Outcome: tlsstate.Downgraded, Kind: k, Pin: tlsstate.TLS12, Identity: address("192.0.2.10")})
	}
	return all
}

// busyMetrics have taken one event of each kind, and more.
func busyMetrics() *status.Metrics {
	m := status.NewMetrics(counts)
	for _, v := range verdicts() {
		m.Take(event(v, tlsstate.TLS13, "192.0.2.10"))
	}
	stripped := tlsstate.Verdict{Outcome: tlsstate.Downgraded, Kind: tlsstate.Stripped}
	for a := tlsstate.Observe; a <= tlsstate.Reject; a++ {
		stripped.Action = a
		e := event(stripped, tlsstate.Plaintext, "192.0.2.10")
		m.Take(e) // what was to be refused and was not is an exempt recipient's
		e.Recipient, e.Refused = "bob@ours.example", true
		e.Decision.Breaker, e.Decision.Unlimited = ratchet.Suspended, tlsstate.Tempfail
		m.Take(e) // tempfail and reject are not limited: a row's
		e.Decision.Breaker = ratchet.Excused
		m.Take(e)
		e.Done, e.Decision.Breaker = false, ratchet.Armed
		m.Take(e)
	}
	return m
}

// scrape returns what a scraper gets.
func scrape(t *testing.T, m *status.Metrics, accept string) (kind, body string) {
	t.Helper()
	s, err := status.NewServer(status.ServerOptions{Address: "localhost:1", Metrics: m, Page: emptyPage(t), Log: quietLog()})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Host = "localhost:1"
	r.Header.Set("Accept", accept)
	s.Handler.ServeHTTP(w, r)
	return w.Header().Get("Content-Type"), w.Body.String()
}

// ours are the lines of our own metrics.
func ours(body string) string {
	var b strings.Builder
	for line := range strings.Lines(body) {
		if strings.Contains(line, "tlsratchet_") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestGoldenMetrics(t *testing.T) {
	_, body := scrape(t, busyMetrics(), "text/plain")
	got := ours(body)
	const golden = "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("go test ./internal/status -update, if that is right (-want +got):\n%s", diff)
	}
}

// TestPromtool: its linter has nothing to say of our metrics.
func TestPromtool(t *testing.T) {
	tool, err := promtool.Find(t.Context(), "promtool")
	if err != nil {
		t.Fatal(err)
	}
	_, body := scrape(t, busyMetrics(), "text/plain")
	cmd := exec.CommandContext(t.Context(), tool, "check", "metrics")
	cmd.Stdin = strings.NewReader(body)
	out, err := cmd.CombinedOutput()
	if err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestFormats(t *testing.T) {
	m := busyMetrics()
	if kind, body := scrape(t, m, "application/openmetrics-text"); !strings.HasPrefix(kind, "application/openmetrics-text") || !strings.HasSuffix(body, "# EOF\n") {
		t.Errorf("asked for OpenMetrics, got %s", kind)
	}
	// Native histograms are in this format alone.
	if kind, _ := scrape(t, m, "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"); !strings.HasPrefix(kind, "application/vnd.google.protobuf") {
		t.Errorf("asked for protocol buffers, got %s", kind)
	}
}

// TestNothingKnown: what is not there is not exported as 0.
func TestNothingKnown(t *testing.T) {
	_, body := scrape(t, status.NewMetrics(nothing), "text/plain")
	for _, name := range []string{"tlsratchet_selfcheck", "tlsratchet_identities", "tlsratchet_shared", "tlsratchet_spf", "tlsratchet_dns"} {
		if strings.Contains(body, name) {
			t.Errorf("%s is exported", name)
		}
	}
}

// TestNoLabelOfAPeers: nothing of what a peer chooses is in the metrics.
func TestNoLabelOfAPeers(t *testing.T) {
	m := status.NewMetrics(counts)
	e := event(tlsstate.Verdict{Outcome: tlsstate.Downgraded, Kind: tlsstate.Stripped, Identity: domain("peers.choice")}, tlsstate.TLS12, "203.0.113.77")
	e.Session.Peer.Host, e.Session.Protocol, e.Session.Cipher, e.Session.From, e.QueueID = "peers.choice", "peers.choice", "peers.choice", "a@peers.choice", "peers.choice"
	m.Take(e)
	if _, body := scrape(t, m, "text/plain"); strings.Contains(body, "peers.choice") || strings.Contains(body, "203.0.113") {
		t.Error("a peer's choice is in the metrics")
	}
}

// TestNumbersOutOfRange: what no version of ours knows yet is counted
// somewhere, and nothing panics.
func TestNumbersOutOfRange(t *testing.T) {
	m := status.NewMetrics(nothing)
	for _, v := range []tlsstate.Verdict{
		{Outcome: 200}, {Outcome: tlsstate.Downgraded, Kind: 200, Action: 200}, {Outcome: tlsstate.Downgraded},
	} {
		e := event(v, 200, "192.0.2.1")
		e.Decision.Breaker, e.Decision.Unlimited = 200, 201
		m.Take(e)
	}
}

// TestTakeAllocatesNothing, on any event.
func TestTakeAllocatesNothing(t *testing.T) {
	m := status.NewMetrics(nothing)
	for _, v := range verdicts() {
		e := event(v, tlsstate.TLS12, "192.0.2.10")
		e.Decision.Breaker, e.Decision.Unlimited = ratchet.Softened, tlsstate.Reject
		if n := testing.AllocsPerRun(100, func() { m.Take(e) }); n != 0 {
			t.Errorf("%s: %v allocations", v.Outcome, n)
		}
	}
}

// TestObserve: each operation has a metric of its own.
func TestObserve(t *testing.T) {
	m := status.NewMetrics(nothing)
	for n, op := range []ratchet.Operation{ratchet.Deciding, ratchet.Loading, ratchet.Learning} {
		for range n + 1 {
			m.Observe(op, time.Millisecond)
		}
	}
	_, body := scrape(t, m, "text/plain")
	for _, want := range []string{
		"tlsratchet_decide_seconds_count 1\n",
		`tlsratchet_store_seconds_count{operation="load"} 2` + "\n",
		`tlsratchet_store_seconds_count{operation="learn"} 3` + "\n",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, ours(body))
		}
	}
	if n := testing.AllocsPerRun(1000, func() { m.Observe(ratchet.Loading, time.Second) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTake(b *testing.B) {
	m := status.NewMetrics(nothing)
	e := event(tlsstate.Verdict{Outcome: tlsstate.Steady}, tlsstate.TLS13, "192.0.2.10")
	for b.Loop() {
		m.Take(e)
	}
}
