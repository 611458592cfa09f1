package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// binary is tlsratchet, built for this run.
var binary string

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == childArg {
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "tlsratchet")
	if out, err := exec.Command("go", "build", "-o", binary, "tlsratchet/cmd/tlsratchet").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// A whole run with few messages: all contestants in Go, each a process, and a
// start on a small history.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	doc := filepath.Join(dir, "performance.md")
	var out, errs bytes.Buffer
	code := run([]string{
		"-tlsratchet", binary, "-against", binary, "-no-c", "-steps=false", "-rounds", "1", "-messages", "40", "-lengths", "1,5", "-sessions", "2",
		"-start", "-identities", "101", "-cache", dir, "-write", doc,
	}, nil, &out, &errs)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, &errs)
	}
	text, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(text), out.String()+frozen) || !strings.HasPrefix(string(text), "# Performance") {
		t.Errorf("the document is not the output between a preface and the frozen results:\n%s", text)
	}
	for _, want := range []string{
		"## Milter sessions, one message a session", "## Milter sessions, 5 messages a session",
		nameOurs, nameOther, nameGo, "Left out: milters in C", "101 stored",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.part")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// The sending side, in short: two Postfixes, postmap, and the readers of a log.
func TestRunSending(t *testing.T) {
	var out, errs bytes.Buffer
	code := run([]string{
		"-tlsratchet", binary, "-no-c", "-steps=false", "-messages", "0", "-sending", "-rounds", "1", "-mails", "20", "-sessions", "2", "-lines", "3000",
	}, nil, &out, &errs)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, &errs)
	}
	for _, want := range []string{"delivery rate with the table to none", nameTable, namePostmap, nameFollower, nameReplay} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"-rounds", "0"}, 2, "must be positive"},
		{[]string{"-lengths", "1,x"}, 2, `"x" is not a number`},
		{[]string{"fast"}, 2, `unexpected "fast"`},
		{[]string{"-tlsratchet", "/nonexistent/tlsratchet"}, 1, "make build"},
		{[]string{"-no-c", "-tlsratchet", "/bin/false"}, 1, "tlsratchet ended"},
	} {
		var out, errs bytes.Buffer
		if code := run(append([]string{"-steps=false"}, test.args...), nil, &out, &errs); code != test.code || !strings.Contains(errs.String(), test.says) {
			t.Errorf("%v: exit %d, %s", test.args, code, &errs)
		}
		if out.Len() > 0 {
			t.Errorf("%v: %s", test.args, &out)
		}
	}
}

func TestChildThatCannotListen(t *testing.T) {
	var errs bytes.Buffer
	if code := doNothing(filepath.Join(t.TempDir(), "none", "m"), strings.NewReader(""), &errs); code != 1 || errs.Len() == 0 {
		t.Errorf("exit %d: %s", code, &errs)
	}
}
