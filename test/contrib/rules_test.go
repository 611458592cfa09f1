package contrib_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tlsratchet/contrib"
	"tlsratchet/test/promtool"
)

// run runs promtool on files of contrib/prometheus.
func run(t *testing.T, args ...string) {
	t.Helper()
	tool, err := promtool.Find(t.Context(), "promtool")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), tool, args...)
	cmd.Dir = "../../contrib/prometheus"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestCheckRules(t *testing.T)  { run(t, "check", "rules", "--lint-fatal", "tlsratchet.rules.yml") }
func TestRules(t *testing.T)       { run(t, "test", "rules", "tlsratchet.rules.test.yml") }
func TestCheckScrape(t *testing.T) { run(t, "check", "config", "--syntax-only", "scrape.yml") }

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := contrib.Files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestEveryAlertIsTested: that it fires, and that it doesn't.
func TestEveryAlertIsTested(t *testing.T) {
	tests := string(read(t, "prometheus/tlsratchet.rules.test.yml"))
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(read(t, "prometheus/tlsratchet.rules.yml")), -1) {
		fires := regexp.MustCompile(`alertname: ` + m[1] + `\n\s+exp_alerts:\n\s+- exp_labels`)
		quiet := regexp.MustCompile(`alertname: ` + m[1] + `, exp_alerts: \[\]`)
		if !fires.MatchString(tests) || !quiet.MatchString(tests) {
			t.Errorf("%s: want a test that it fires, and one that it doesn't", m[1])
		}
	}
}

// TestRulesNameOurMetrics: with labels and values that we export.
func TestRulesNameOurMetrics(t *testing.T) {
	golden, err := os.ReadFile("../../internal/status/testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	var series []string
	for line := range strings.Lines(string(golden)) {
		if !strings.HasPrefix(line, "#") {
			series = append(series, strings.TrimSpace(line))
		}
	}
	rules := string(read(t, "prometheus/tlsratchet.rules.yml"))
	found := regexp.MustCompile(`(tlsratchet_\w+)(?:\{(\w+)(=~?|!=)"([^"]*)"\})?`).FindAllStringSubmatch(rules, -1)
	if len(found) < 14 {
		t.Errorf("%d metrics in the rules", len(found))
	}
	for _, m := range found {
		for value := range strings.SplitSeq(m[4], "|") {
			ours := func(s string) bool {
				name, rest, _ := strings.Cut(strings.Replace(s, " ", "{", 1), "{")
				return name == m[1] && (m[2] == "" || strings.Contains(rest, m[2]+`="`+value+`"`))
			}
			if !slices.ContainsFunc(series, ours) {
				t.Errorf("%s: nothing that we export", m[0])
			}
		}
	}
}
