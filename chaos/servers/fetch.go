package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Kind is which server it is.
type Kind string

// The servers that there are.
const (
	Redis  Kind = "redis"
	Valkey Kind = "valkey"
)

// Kinds are all of them.
var Kinds = []Kind{Redis, Valkey}

// backports is where Debian 12 has Valkey, which its own release has not.
const backports = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm-backports main\n"

// libraries are those that a small system lacks.
var libraries = []string{"libatomic1", "libjemalloc2", "liblzf1"}

// Fetch returns the folder that a server is unpacked in, and puts it there if
// it isn't. It needs apt-get and dpkg; an error says what is missing.
func Fetch(kind Kind) (root string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = filepath.Join(os.TempDir(), fmt.Sprintf("tlsratchet-%d", os.Getuid()))
	}
	folder := filepath.Join(cache, "tlsratchet", "servers")
	root = filepath.Join(folder, string(kind))
	if runs(root, kind) == nil {
		return root, nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(folder, "fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	if err := unpack(fresh, kind); err != nil {
		return "", fmt.Errorf("%s-server can't be fetched from Debian: %w", kind, err)
	}
	if err := runs(fresh, kind); err != nil {
		return "", fmt.Errorf("%s-server was fetched but doesn't run: %w", kind, err)
	}
	// Another test may have been quicker: one of the two stays.
	if err := os.Rename(fresh, root); err != nil && runs(root, kind) != nil {
		return "", errors.Join(err, os.RemoveAll(root))
	}
	return root, nil
}

// command returns a server's command line, with the libraries beside it.
func command(root string, kind Kind, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(root, "usr/bin", string(kind)+"-server"), args...)
	found, _ := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-*"))
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(found, ":"))
	return cmd
}

func runs(root string, kind Kind) error {
	out, err := command(root, kind, "--version").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// unpack fetches the packages and unpacks them in dir.
func unpack(dir string, kind Kind) error {
	if err := download(dir, libraries); err != nil {
		return err
	}
	server := []string{string(kind) + "-server", string(kind) + "-tools"}
	err := error(nil)
	if kind == Valkey {
		err = downloadFrom(dir, backports, server)
	} else {
		err = download(dir, server)
	}
	if err != nil {
		return err
	}
	packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	for _, p := range packages {
		err = errors.Join(err, run(dir, "dpkg", "-x", p, dir), os.Remove(p))
	}
	return err
}

// download gets packages from the machine's own sources.
func download(dir string, packages []string) error {
	get := append([]string{"download"}, packages...)
	err := run(dir, "apt-get", get...)
	if err != nil && os.Geteuid() == 0 && !errors.Is(err, exec.ErrNotFound) {
		// A machine whose package lists are old, or not there yet.
		if err = run(dir, "apt-get", "update"); err == nil {
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

func run(dir, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}
