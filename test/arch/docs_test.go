package arch_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Tests that a document names are there: "(`./milter` TestTexts, TestQuote)".
func TestNamedTests(t *testing.T) {
	docs, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(\\./[a-z0-9/]+)`((?:,? Test\\w+)+)")
	for _, doc := range docs {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			for _, name := range regexp.MustCompile(`Test\w+`).FindAllString(m[2], -1) {
				if !hasTest(t, m[1], name) {
					t.Errorf("%s names %s of %s, which is not there", filepath.Base(doc), name, m[1])
				}
			}
		}
	}
}

func hasTest(t *testing.T, pkg, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "func "+name+"(") {
			return true
		}
	}
	return false
}

// The top of the tree shows what the product is, and no more.
func TestTopOfTheTree(t *testing.T) {
	cmd := exec.Command("git", "ls-files")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]bool{}
	for _, file := range strings.Fields(string(out)) {
		if top, _, _ := strings.Cut(file, "/"); top[0] != '.' {
			entries[top] = true
		}
	}
	if len(entries) > 16 {
		t.Errorf("%d entries at the top: %v", len(entries), entries)
	}
}

// Files that the architecture page names are there.
func TestNamedFiles(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("`((?:cmd|milter|tlsstate|internal|contrib|test|docs)/[\\w./]+)`").FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Errorf("architecture.md names %s: %v", m[1], err)
		}
	}
}
