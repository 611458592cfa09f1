package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tlsratchet/test/chaos/servers"
)

// One short fault, from the beginning to the table in the docs.
func TestPartition(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(file, []byte("before\n"+beginMark+"old\n"+endMark+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run([]string{"-only", "partitioned", "-lasts", "500ms", "-write", file}, &out, &errs); code != 0 && !strings.Contains(errs.String(), "as promised") {
		t.Fatalf("exit %d: %s", code, &errs)
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	if !strings.HasPrefix(text, "before\n"+beginMark+"Three hosts") || !strings.HasSuffix(text, endMark+"after\n") || strings.Contains(text, "old") {
		t.Errorf("the page:\n%s", text)
	}
	// The first columns are fixed; any of the measured ones may come to 500ms too.
	row := regexp.MustCompile(`(?m)^\| partitioned \(silent network\) \| (Valkey|Redis) [0-9.]+ \| 500ms \|.* \| 0 \|$`)
	rows := map[string]int{}
	for _, m := range row.FindAllStringSubmatch(text, -1) {
		rows[m[1]]++
	}
	if rows["Valkey"] != 1 || rows["Redis"] != 1 || strings.Count(text, "\n|") != 4 {
		t.Errorf("the table:\n%s", text)
	}
}

func TestWrongUse(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"-nonsense"}, &out, &errs); code != 2 {
		t.Errorf("exit %d for a wrong flag", code)
	}
	file := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(file, []byte("no marks"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replace(file, "table"); err == nil {
		t.Error("a page without marks is no error")
	}
	if err := replace(file+"x", "table"); err == nil {
		t.Error("no page is no error")
	}
}

// What is not as promised is an error.
func TestPromises(t *testing.T) {
	quick := []time.Duration{time.Millisecond}
	slow := append(make([]time.Duration, 50), 100*time.Millisecond, 100*time.Millisecond)
	for _, tt := range []struct {
		name string
		r    result
		want bool
	}{
		{"all is well", result{judged: 9, stripped: 2, caught: 2, during: quick}, true},
		{"one slow session in 200", result{during: append(make([]time.Duration, 199), time.Second)}, true},
		{"a session unjudged", result{judged: 9, unjudged: 1, during: quick}, false},
		{"a strip that passed", result{stripped: 2, caught: 1, during: quick}, false},
		{"a merge lost", result{lost: 1, during: quick}, false},
		{"slow", result{during: slow}, false},
		{"as slow as without a server", result{during: slow, alone: slow}, true},
	} {
		if tt.r.asPromised() != tt.want {
			t.Errorf("%s: %v", tt.name, !tt.want)
		}
	}
	r := result{fault: "f", version: "V 1", lasted: time.Second, judged: 3, unjudged: 1, stripped: 2, caught: 1, during: quick, settled: 1234 * time.Millisecond, lost: 5}
	if want := "| f | V 1 | 1s | 3 of 4 | 1 of 2 | 0s | 1ms | 1ms | 1.2s | 5 |"; r.row() != want {
		t.Errorf("got %s\nwant %s", r.row(), want)
	}
}

func TestFaultsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range servers.Faults() {
		if f.Name == "" || seen[f.Name] || f.Begin == nil || f.End == nil {
			t.Errorf("%q", f.Name)
		}
		seen[f.Name] = true
	}
}
