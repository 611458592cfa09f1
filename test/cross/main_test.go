package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Faults of one system and of one size of word are found there alone.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":        "module x\n\ngo 1.24\n",
		"x.go":          "package x\n\nimport \"os\"\n\nvar Name = os.Args[0]\n",
		"x_openbsd.go":  "package x\n\nimport \"syscall\"\n\nfunc free(s *syscall.Statfs_t) uint64 { return s.Bavail }\n",
		"large_test.go": "package x\n\nconst large int = 1 << 62\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		target string
		tests  bool
		want   string // the error
	}{
		{"linux/amd64", true, ""},
		{"linux/386", false, ""},
		{"linux/386", true, "overflows"},
		{"openbsd/amd64", false, "Bavail"},
		{"linux/pdp11", false, "unsupported"},
	} {
		n, err := check(dir, ".", tt.target, tt.tests)
		if (err == nil) != (tt.want == "") || err != nil && tt.want != "unsupported" && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s, tests %t: %v, want %q", tt.target, tt.tests, err, tt.want)
		}
		if err == nil && n < 10 {
			t.Errorf("%s: %d packages", tt.target, n)
		}
	}
}
