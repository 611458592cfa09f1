package status_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocs: docs/metrics.md has each of our metrics with its labels, and no
// other.
func TestDocs(t *testing.T) {
	docs, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(tlsratchet_\\w+)` (.*)$").FindAllStringSubmatch(string(docs), -1) {
		rows[m[1]] = m[2]
	}
	declared := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\w+) `).FindAllStringSubmatch(string(golden), -1) {
		if declared[m[1]] = true; rows[m[1]] == "" {
			t.Errorf("%s is not in docs/metrics.md", m[1])
		}
	}
	for name := range rows {
		if !declared[name] {
			t.Errorf("docs/metrics.md has %s, which is none", name)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^(tlsratchet_\w+)\{(.*)\} `).FindAllStringSubmatch(string(golden), -1) {
		name := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(m[1], "_bucket"), "_sum"), "_count")
		for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[2], -1) {
			if l[1] != "le" && !strings.Contains(rows[name], "`"+l[1]+"`") {
				t.Errorf("docs/metrics.md: %s has no word of its label %s", name, l[1])
			}
		}
	}
}
