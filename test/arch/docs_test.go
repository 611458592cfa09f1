package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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

// Files that the architecture page names are there, and in them the functions
// that it names behind them: "`milter/session.go` (session.MailFrom)".
func TestNamedFiles(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	named, functions := regexp.MustCompile("`((?:cmd|milter|tlsstate|internal|contrib|test|docs)/[\\w./]+)`(?:\\s\\(([\\w., \n]+)\\))?"), 0
	for _, m := range named.FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Errorf("architecture.md names %s: %v", m[1], err)
			continue
		}
		for _, name := range strings.FieldsFunc(m[2], func(r rune) bool { return strings.ContainsRune(", \n", r) }) {
			if functions++; !slices.Contains(functionsOf(t, m[1]), name) {
				t.Errorf("architecture.md names %s of %s, which is not there", name, m[1])
			}
		}
	}
	if functions < 20 {
		t.Errorf("it names %d functions", functions)
	}
}

// functionsOf returns the functions of a file, and its methods as Type.name.
func functionsOf(t *testing.T, file string) (names []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		name := f.Name.Name
		if f.Recv != nil {
			name = strings.TrimPrefix(types.ExprString(f.Recv.List[0].Type), "*") + "." + name
		}
		names = append(names, name)
	}
	return names
}
