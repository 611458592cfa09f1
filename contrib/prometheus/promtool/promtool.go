// Package promtool finds Debian's Prometheus for tests: installed, or else
// unpacked into the user's cache, so that the machine stays as it is.
package promtool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrMissing says that there is none and how to get one. Its text is for
// people.
var ErrMissing = errors.New("these tests need Debian's package prometheus, and it could not be fetched (apt-get download): install it, or prometheus and promtool from prometheus.io")

// Find returns the path of a program of the package: promtool or prometheus.
// The error wraps [ErrMissing].
func Find(ctx context.Context, program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	dir, err := cache()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrMissing, err)
	}
	unlock, err := lock(filepath.Join(filepath.Dir(dir), "prometheus.lock"))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrMissing, err)
	}
	defer unlock()
	path := filepath.Join(dir, "usr/bin", program)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := fetch(ctx, dir); err != nil {
		return "", fmt.Errorf("%w: %w", ErrMissing, err)
	}
	return path, nil
}

// cache returns where the package is unpacked.
func cache() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	dir := filepath.Join(base, "tlsratchet", "prometheus")
	return dir, os.MkdirAll(filepath.Dir(dir), 0o755)
}

// lock waits for other tests that look for it too.
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

// fetch unpacks the package beside dir, and then puts it there whole. The lists
// of packages are fetched only where it isn't found: a fresh image has none.
func fetch(ctx context.Context, dir string) error {
	work, err := os.MkdirTemp(filepath.Dir(dir), "fetch")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := run(ctx, work, "apt-get", "download", "prometheus"); err != nil {
		if err := run(ctx, work, "apt-get", "update", "--quiet"); err != nil {
			return err
		}
		if err := run(ctx, work, "apt-get", "download", "prometheus"); err != nil {
			return err
		}
	}
	found, err := filepath.Glob(filepath.Join(work, "prometheus_*.deb"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("apt-get download left %q", found)
	}
	unpacked := filepath.Join(work, "unpacked")
	if err := run(ctx, work, "dpkg-deb", "-x", found[0], unpacked); err != nil {
		return err
	}
	return os.Rename(unpacked, dir)
}

func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}
