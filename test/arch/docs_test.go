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

// documents are the texts of the tree, by name.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md", "contrib/*/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(root, file)
			if err != nil {
				t.Fatal(err)
			}
			texts[name] = string(text)
		}
	}
	return texts
}

// Tests that a document names are there: "(`./milter` TestTexts, TestQuote)", and
// "`go test ./test/e2e -run TestPolicyDoctor`".
func TestNamedTests(t *testing.T) {
	forms := []*regexp.Regexp{
		regexp.MustCompile("`(\\./[a-z0-9/]+)`((?:,?\\s+Test\\w+)+)"),
		regexp.MustCompile("go test (\\./[a-z0-9/]+)[^`\n]* -run '?(Test\\w+)"),
	}
	n := 0
	for doc, text := range documents(t) {
		for _, form := range forms {
			for _, m := range form.FindAllStringSubmatch(text, -1) {
				for _, name := range regexp.MustCompile(`Test\w+`).FindAllString(m[2], -1) {
					if n++; !hasTest(t, m[1], name) {
						t.Errorf("%s names %s of %s, which is not there", doc, name, m[1])
					}
				}
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d tests are named", n)
	}
}

// What a document has make do is a target.
func TestNamedTargets(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for doc, text := range documents(t) {
		for _, m := range regexp.MustCompile("`make\\s((?:[a-z-]+\\s?)+)`|(?m)^ *make ((?:[a-z-]+ ?)+)(?: *#.*)?$").FindAllStringSubmatch(text, -1) {
			for _, target := range strings.Fields(m[1] + m[2]) {
				if !regexp.MustCompile(`(?m)^` + target + `:`).Match(makefile) {
					t.Errorf("%s: make %s: there is no such target", doc, target)
				}
			}
		}
	}
}

// A default that stands behind a key, as in "`pin_after_days` (5)", is that of
// contrib/tlsratchet.toml.
func TestNamedDefaults(t *testing.T) {
	defaults, err := os.ReadFile(filepath.Join(root, "contrib", "tlsratchet.toml"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for doc, text := range documents(t) {
		for _, m := range regexp.MustCompile("`(?:[a-z]+\\.)?([a-z_]+)` \\(`?([0-9A-Za-z.:]+)`?\\)").FindAllStringSubmatch(text, -1) {
			set := regexp.MustCompile(`(?m)^`+m[1]+` = "?([^"\n]*)"?$`).FindAllStringSubmatch(string(defaults), -1)
			if len(set) == 0 || m[2] == "default" {
				continue // Postfix's, or a word
			}
			if n++; !slices.ContainsFunc(set, func(is []string) bool { return is[1] == m[2] }) {
				t.Errorf("%s: the default of %s is not %s", doc, m[1], m[2])
			}
		}
	}
	if n < 7 {
		t.Errorf("only %d defaults", n)
	}
}

// A name with underscores (a key, a metric, a field, a label) occurs in the
// product, but for Postfix's and the kernel's own.
func TestNamedWords(t *testing.T) {
	cmd := exec.Command("git", "grep", "-hoE", "[A-Za-z]+(_[A-Za-z0-9]+)+", "--", "*.go", "contrib", "packaging", "test", ":!*.md")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, w := range strings.Fields(string(out)) {
		known[w] = true
	}
	foreign := regexp.MustCompile(`^(smtpd?|tls|milter|postscreen)_|^_|_$|_test$|^(relay_clientcerts|MUST_NOPEERMATCH|info_log_address_format|strict_rfc821_envelopes|DEFER_IF_PERMIT|raw_syscalls|sys_enter)$`)
	for doc, text := range documents(t) {
		for _, code := range regexp.MustCompile("`[^`\n]+`").FindAllString(text, -1) {
			for _, w := range regexp.MustCompile(`[A-Za-z]+(?:_[A-Za-z0-9]+)+_?|_\w+`).FindAllString(code, -1) {
				if !known[w] && !foreign.MatchString(w) {
					t.Errorf("%s: nothing is called %s", doc, w)
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

// Files that a document names are there, and in them the functions that it names
// behind them: "`milter/session.go` (session.MailFrom)".
func TestNamedFiles(t *testing.T) {
	named, functions := regexp.MustCompile("`((?:cmd|milter|tlsstate|internal|contrib|test|docs|packaging)/[\\w./-]+)`(?:\\s\\(([\\w., \n]+)\\))?"), 0
	for doc, text := range documents(t) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s names %s: %v", doc, m[1], err)
				continue
			}
			if doc != "docs/architecture.md" {
				continue // brackets hold anything there
			}
			for _, name := range strings.FieldsFunc(m[2], func(r rune) bool { return strings.ContainsRune(", \n", r) }) {
				if functions++; !slices.Contains(functionsOf(t, m[1]), name) {
					t.Errorf("%s names %s of %s, which is not there", doc, name, m[1])
				}
			}
		}
	}
	if functions < 20 {
		t.Errorf("architecture.md names %d functions", functions)
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
