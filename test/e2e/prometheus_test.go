package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tlsratchet/test/posttest"
	"tlsratchet/test/promtool"
)

// TestPrometheus: Debian's Prometheus scrapes the daemon, and our rule fires on
// a stripped session and ceases when the peer is back.
func TestPrometheus(t *testing.T) {
	w := world{T: t, Instance: newPostfix(t, posttest.Options{})}
	status := freeAddr(t)
	serve(t, w.MilterSocket(), "", fmt.Sprintf(prometheusDaemon, w.Addr(0), status))
	p := newPrometheus(t, status)
	// Before the first message: who asks nothing for an hour is a rule, and a counter
	// that is seen at 1 first has not grown.
	eventually(t, "it is scraped before", func() bool { return p.value(t, `tlsratchet_messages_total{level="TLSv1.3"}`) == "0" })
	w.delivered(w.bank("192.0.2.10", w.tls13()), mail("in good order"))
	eventually(t, "it is scraped", func() bool { return p.value(t, `tlsratchet_messages_total{level="TLSv1.3"}`) == "1" })
	eventually(t, "our own MX is looked at", func() bool { return p.value(t, `sum(tlsratchet_selfcheck_problem)`) == "1" })
	eventually(t, "no rule fires but the certificate's, which waits", func() bool {
		return p.rules(t) == "TLSRatchetCertificateEnds pending"
	})

	w.has(w.delivered(w.bank("192.0.2.10", plain()), mail("stripped")), "kind=stripped")
	eventually(t, "the rule fires", func() bool {
		return p.rules(t) == "TLSRatchetIncidentOpen firing, TLSRatchetCertificateEnds pending"
	})
	if got := p.value(t, `tlsratchet_verdicts_total{outcome="downgrade",kind="stripped"}`); got != "1" {
		t.Errorf("stripped messages: %s", got)
	}
	w.delivered(w.bank("192.0.2.10", w.tls13()), mail("back on TLS"))
	eventually(t, "it ceases", func() bool { return p.rules(t) == "TLSRatchetCertificateEnds pending" })
}

const prometheusDaemon = `
[policy]
pin_after_days = 1
[selfcheck]
address = %q
[outbound]
log = "off"
[status]
listen = %q
`

const prometheusConfig = `
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs: [{job_name: tlsratchet, static_configs: [{targets: [%q]}]}]
`

// prometheus is a running one of Debian's.
type prometheus struct{ url string }

func newPrometheus(t *testing.T, target string) prometheus {
	t.Helper()
	path, err := promtool.Find(limit(t), "prometheus")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs("../../contrib/prometheus/tlsratchet.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, prometheusConfig, rules, target), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	p := prometheus{url: "http://" + addr}
	runServer(t, exec.Command(path, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr), p.url)
	return p
}

// get asks its API.
func (p prometheus) get(t *testing.T, path string, data any) {
	t.Helper()
	resp, err := http.Get(p.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer := struct {
		Status string
		Data   any
	}{Data: data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Status != "success" {
		t.Fatalf("%s: %s %v", path, answer.Status, err)
	}
}

// value is that of a query with one result, "" for another number of them.
func (p prometheus) value(t *testing.T, query string) string {
	t.Helper()
	var data struct{ Result []struct{ Value [2]any } }
	p.get(t, "/api/v1/query?query="+url.QueryEscape(query), &data)
	if len(data.Result) != 1 {
		return ""
	}
	return fmt.Sprint(data.Result[0].Value[1])
}

// rules are those that aren't quiet, in the order of the file, and those that
// can't be evaluated; "" until all were.
func (p prometheus) rules(t *testing.T) string {
	t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, State, Health, LastError string }
		}
	}
	p.get(t, "/api/v1/rules", &data)
	var all []string
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			switch {
			case r.Health == "unknown":
				return ""
			case r.Health != "ok":
				all = append(all, r.Name+" "+r.Health+" "+r.LastError)
			case r.State != "inactive":
				all = append(all, r.Name+" "+r.State)
			}
		}
	}
	return strings.Join(all, ", ")
}
