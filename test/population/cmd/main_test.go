package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tlsratchet/test/population"
)

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-peers", "10"}, {"-days", "30"}, {"-nonsense"}, {"argument"}, {"-seed", "-1"}} {
		var out, err bytes.Buffer
		if code := run(args, &out, &err); code != 2 || err.Len() == 0 || out.Len() > 0 {
			t.Errorf("%v: exit %d, printed %q", args, code, err.String())
		}
	}
}

func TestShow(t *testing.T) {
	var out bytes.Buffer
	if err := show("", population.Begin, "tables\n", &out); err != nil || out.String() != "tables\n" {
		t.Errorf("printed %q, %v", out.String(), err)
	}
	page := filepath.Join(t.TempDir(), "policy.md")
	if err := show(page, population.Begin, "tables\n", &out); err == nil {
		t.Error("wrote into a page that isn't there")
	}
	if err := os.WriteFile(page, []byte("no marks\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := show(page, population.Begin, "tables\n", &out); err == nil || !strings.Contains(err.Error(), page) {
		t.Errorf("a page without marks: %v", err)
	}
	if err := os.WriteFile(page, []byte(population.Begin+"\n"+population.End+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := show(page, population.Begin, "tables\n", &out); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "tables") {
		t.Errorf("wrote %q, %v", text, err)
	}
}
