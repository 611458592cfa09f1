// Package apt gets the programs that tests run from Debian's packages,
// without installing them: they are unpacked in the user's cache, once.
package apt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Set is what is unpacked together.
type Set struct {
	// Folder is its name in the cache.
	Folder string
	// Packages come from the machine's own sources, with what they depend on;
	// Elsewhere come from Source, alone: a line of sources.list(5) that the
	// machine needn't have.
	Packages  []string
	Elsewhere []string
	Source    string
	// Program is run with Args to find out whether the set is there and runs;
	// its path is below the set's root.
	Program string
	Args    []string
}

// Root returns the folder that the set is unpacked in, and puts it there if it
// isn't. The error says what is missing.
func Root(s Set) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = filepath.Join(os.TempDir(), fmt.Sprintf("tlsratchet-%d", os.Getuid()))
	}
	root := filepath.Join(cache, "tlsratchet", s.Folder)
	if s.runs(root) == nil {
		return root, nil
	}
	folder := filepath.Dir(root)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	// Other tests may want it too, or apt-get.
	unlock, err := lock(filepath.Join(cache, "tlsratchet", "apt.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if s.runs(root) == nil {
		return root, nil
	}
	if err := s.put(root, folder); err != nil {
		return "", fmt.Errorf("programs of tests: Debian's %s could not be fetched (as root, run apt-get update and try again): %w",
			strings.Join(append(s.Packages, s.Elsewhere...), ", "), err)
	}
	return root, nil
}

// Command returns a program of a set, with the libraries and Python's modules
// beside it. One that the machine has was left out of the set.
func Command(root, program string, args ...string) *exec.Cmd {
	path := filepath.Join(root, program)
	if _, err := os.Stat(path); err != nil {
		path = "/" + program
	}
	cmd := exec.Command(path, args...)
	libraries, _ := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-*"))
	old, _ := filepath.Glob(filepath.Join(root, "lib/*-linux-*")) // before Debian 12
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(append(libraries, old...), ":"),
		"PYTHONPATH="+filepath.Join(root, "usr/lib/python3/dist-packages"))
	return cmd
}

func (s Set) runs(root string) error {
	out, err := Command(root, s.Program, s.Args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %.300s", s.Program, err, bytes.TrimSpace(out))
	}
	return nil
}

// put unpacks the set beside root, and then puts it there whole.
func (s Set) put(root, folder string) error {
	fresh, err := os.MkdirTemp(folder, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	if err := s.unpack(fresh); err != nil {
		return err
	}
	if err := s.runs(fresh); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(root), os.Rename(fresh, root))
}

func (s Set) unpack(dir string) error {
	if err := download(dir, s.Packages); err != nil {
		return err
	}
	if len(s.Elsewhere) > 0 {
		if err := downloadFrom(dir, s.Source, s.Elsewhere); err != nil {
			return err
		}
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	for _, deb := range debs {
		err = errors.Join(err, run(dir, "dpkg", "-x", deb, dir), os.Remove(deb))
	}
	return errors.Join(err, os.RemoveAll(filepath.Join(dir, "partial")))
}

// download gets packages from the machine's own sources, and what they depend on
// that the machine lacks.
func download(dir string, packages []string) error {
	if len(packages) == 0 {
		return nil
	}
	get := append([]string{"install", "--download-only", "--reinstall", "--yes", "--no-install-recommends",
		"-o", "Debug::NoLocking=1", "-o", "Dir::Cache::archives=" + dir}, packages...)
	err := run(dir, "apt-get", get...)
	if err != nil && os.Geteuid() == 0 && !errors.Is(err, exec.ErrNotFound) {
		// A machine whose package lists are old, or not there yet.
		if err = run(dir, "apt-get", "-o", "DPkg::Lock::Timeout=300", "update"); err == nil {
			err = run(dir, "apt-get", get...)
		}
	}
	return err
}

// downloadFrom gets packages from a source that the machine doesn't have, by
// lists in a folder of our own.
func downloadFrom(dir, source string, packages []string) error {
	own := filepath.Join(dir, "apt")
	defer os.RemoveAll(own)
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(own, sub), 0o755); err != nil {
			return err
		}
	}
	list := filepath.Join(own, "sources.list")
	if err := os.WriteFile(list, []byte(source), 0o644); err != nil {
		return err
	}
	private := []string{
		"-o", "Dir::Etc::sourcelist=" + list, "-o", "Dir::Etc::sourceparts=-",
		"-o", "Dir::State::lists=" + filepath.Join(own, "lists"), "-o", "Dir::Cache=" + filepath.Join(own, "cache"),
	}
	if err := run(dir, "apt-get", append(private[:len(private):len(private)], "update")...); err != nil {
		return err
	}
	return run(dir, "apt-get", append(append(private, "download"), packages...)...)
}

func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { f.Close() }, nil // closing unlocks
}

func run(dir, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
