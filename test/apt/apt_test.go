package apt_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tlsratchet/test/apt"
)

// hello is a package that needs nothing else.
var hello = apt.Set{Folder: "hello", Packages: []string{"hello"}, Program: "usr/bin/hello"}

// It is fetched once, found again, and put right if it is broken.
func TestRoot(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	root, err := apt.Root(hello)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(root, hello.Program)
	before, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := apt.Root(hello); err != nil {
		t.Fatal(err)
	}
	if again, err := os.Stat(program); err != nil || !os.SameFile(before, again) {
		t.Errorf("it was fetched twice: %v", err)
	}
	if err := os.Truncate(program, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := apt.Root(hello); err != nil {
		t.Fatal(err)
	}
	out, err := apt.Command(root, hello.Program).Output()
	if err != nil || !strings.Contains(string(out), "Hello") {
		t.Errorf("%s, %v", out, err)
	}
}

// What is not available is an error in one sentence.
func TestMissing(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("PATH", t.TempDir())
	_, err := apt.Root(hello)
	if err == nil || !strings.Contains(err.Error(), "Debian's hello could not be fetched") {
		t.Errorf("got %v", err)
	}
}
