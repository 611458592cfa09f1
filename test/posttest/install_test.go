package posttest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The first thing: with Postfix missing this installs it; in any case nothing
// else changes.
func TestInstall(t *testing.T) {
	fresh := errors.Is(Require(), ErrNotInstalled)
	policy := list(t, policyFile)
	config := list(t, "/etc/postfix")
	var out bytes.Buffer
	if err := Install(&out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if err := Require(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(policy, list(t, policyFile)); diff != "" {
		t.Errorf("policy-rc.d changed:\n%s", diff)
	}
	if _, err := os.Stat("/etc/postfix/main.cf"); fresh && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a new installation is configured: %v", err)
	}
	if diff := cmp.Diff(config, list(t, "/etc/postfix")); !fresh && diff != "" {
		t.Errorf("/etc/postfix changed:\n%s", diff)
	}
	if _, err := os.Stat("/var/spool/postfix/pid/master.pid"); fresh && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the system's Postfix was started: %v", err)
	}
}

// list returns the state of a file or of all files in a directory.
func list(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			found[path] = info.Mode().String() + " " + info.ModTime().String()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestRequire(t *testing.T) {
	have := func(string) (string, error) { return "/usr/sbin/x", nil }
	lack := func(string) (string, error) { return "", exec.ErrNotFound }
	version := func(v string) func() (string, error) {
		return func() (string, error) { return v, nil }
	}
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		uid     int
		look    func(string) (string, error)
		version func() (string, error)
		want    []error
	}{
		"fine":             {0, have, version("3.7.11"), nil},
		"user":             {1000, have, version("3.7.11"), []error{ErrNotRoot}},
		"missing":          {0, lack, nil, []error{ErrNotInstalled}},
		"user and missing": {1000, lack, nil, []error{ErrNotRoot, ErrNotInstalled}},
		"old":              {0, have, version("3.3.1"), []error{ErrTooOld}},
		"user and old":     {1000, have, version("2.11.0"), []error{ErrNotRoot, ErrTooOld}},
		"broken":           {0, have, func() (string, error) { return "", broken }, []error{broken}},
	} {
		err := require(c.uid, c.look, c.version)
		if (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		for _, want := range c.want {
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", name, err, want)
			}
		}
	}
}

func TestAtLeast(t *testing.T) {
	for version, want := range map[string]bool{
		"3.4.0": true, "3.7.11": true, "3.12-20260101": true, "4.0.0": true, "10.0.1": true, "3.4": true,
		"3.3.9": false, "2.11.3": false, "3": false, "": false, "x.y": false, "20260101": false,
	} {
		if got := atLeast(version, 3, 4); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
}

func TestDenyStart(t *testing.T) {
	t.Run("absent", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "policy-rc.d")
		allow, err := denyStart(path)
		if err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := exec.Command(path, "postfix", "start").Run(); !errors.As(err, &exit) || exit.ExitCode() != 101 {
			t.Errorf("policy-rc.d: %v", err)
		}
		if err := allow(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("still there: %v", err)
		}
	})
	t.Run("denies already", func(t *testing.T) {
		path := script(t, "#!/bin/sh\nexit 101\n")
		allow, err := denyStart(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := allow(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	})
	t.Run("allows", func(t *testing.T) {
		path := script(t, "#!/bin/sh\nexit 0\n")
		if _, err := denyStart(path); err == nil || !strings.Contains(err.Error(), "lets packages start services") {
			t.Error(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	})
}

func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy-rc.d")
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(path)
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	go func() {
		unlock, err := lock(path)
		if err == nil {
			unlock()
		}
		second <- err
	}()
	select {
	case err := <-second:
		t.Fatalf("locked twice: %v", err)
	default:
	}
	unlock()
	if err := <-second; err != nil {
		t.Error(err)
	}
}
