package contrib_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tlsratchet/test/promtool"
)

type dashboard struct {
	Title  string
	Panels []panel
	// Annotations and Templating are what Grafana asks beside the panels.
	Annotations struct {
		List []struct{ Name, Expr string }
	}
	Templating struct {
		List []struct{ Name, Definition string }
	}
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ UID string }
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct {
		RefID, Expr string
		Datasource  struct{ UID string }
	}
}

func load(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal(read(t, "grafana/tlsratchet.json"), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// queries are all that the dashboard asks, by where.
func queries(t *testing.T) map[string]string {
	t.Helper()
	d, all := load(t), map[string]string{}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all[p.Title+" "+target.RefID] = target.Expr
		}
	}
	for _, a := range d.Annotations.List {
		all["annotation "+a.Name] = a.Expr
	}
	return all
}

// TestQueriesParse puts the queries into a file of rules and has promtool read
// it.
func TestQueriesParse(t *testing.T) {
	tool, err := promtool.Find(t.Context(), "promtool")
	if err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("$__rate_interval", "5m", "$__range", "1d", "$job", ".*", "$instance", ".*")
	rules := "groups:\n- name: dashboard\n  rules:\n"
	n := 0
	for where, query := range queries(t) {
		query = fill.Replace(query)
		if strings.Contains(query, "$") {
			t.Errorf("%s: a variable that the test doesn't know: %s", where, query)
		}
		quoted, err := json.Marshal(query) // YAML takes it too
		if err != nil {
			t.Fatal(err)
		}
		rules += fmt.Sprintf("  - record: dashboard:query_%d\n    expr: %s\n", n, quoted)
		n++
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), tool, "check", "rules", file).CombinedOutput()
	if err != nil || !strings.Contains(string(out), fmt.Sprintf("%d rules found", n)) {
		t.Errorf("%v: %s\n%s", err, out, rules)
	}
}

// exported returns the names of our metrics, histograms by their parts.
func exported(t *testing.T) map[string]bool {
	t.Helper()
	golden, err := os.ReadFile("../../internal/status/testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^tlsratchet_\w+`).FindAllString(string(golden), -1) {
		names[m] = true
	}
	return names
}

var metric = regexp.MustCompile(`tlsratchet_\w+`)

// TestQueriesNameOurMetrics, and there is no metric that the dashboard leaves
// out without a reason.
func TestQueriesNameOurMetrics(t *testing.T) {
	names, shown := exported(t), map[string]bool{}
	for where, query := range queries(t) {
		found := metric.FindAllString(query, -1)
		if len(found) == 0 {
			t.Errorf("%s names no metric: %s", where, query)
		}
		for _, name := range found {
			if shown[name] = true; !names[name] {
				t.Errorf("%s: we don't export %s", where, name)
			}
		}
	}
	for _, v := range load(t).Templating.List {
		for _, name := range metric.FindAllString(v.Definition, -1) {
			if !names[name] {
				t.Errorf("variable %s: we don't export %s", v.Name, name)
			}
		}
	}
	left := map[string]bool{ // seen in the alerts, or the same as another
		"tlsratchet_build_info": true, "tlsratchet_breaker_names": true, "tlsratchet_connections_accepted_total": true,
		"tlsratchet_policy_service_connections_accepted_total": true,
		"tlsratchet_incidents_dropped_total":                   true, "tlsratchet_selfcheck_timestamp_seconds": true, "tlsratchet_store_damaged_total": true,
	}
	for name := range names {
		part := strings.HasSuffix(name, "_sum") || strings.HasSuffix(name, "_count")
		if !shown[name] && !left[name] && !part {
			t.Errorf("%s is on no panel", name)
		}
	}
}

// TestPanels: each says what it shows, asks the source that was chosen, and lies
// on no other.
func TestPanels(t *testing.T) {
	d := load(t)
	ids, fields := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 || p.Title == "" {
			t.Errorf("panel %d %q: no title, or an id that is taken", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := fields[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%q lies on %q, or beyond the edge", p.Title, other)
				}
				fields[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%q: no description, no query, or a data source of its own", p.Title)
		}
		for _, target := range p.Targets {
			if target.Datasource.UID != "${datasource}" || !strings.Contains(target.Expr, `job=~"$job",instance=~"$instance"`) {
				t.Errorf("%q %s: not of the chosen source, job and instance", p.Title, target.RefID)
			}
		}
	}
}
