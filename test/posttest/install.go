package posttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// Errors of [Require] and [Install]. Their text is for people; it says what to
// run.
var (
	// ErrNotRoot: start the program again as root.
	ErrNotRoot = errors.New("private Postfix instances need root, because Postfix changes to its own user: run this again as root")
	// ErrNotInstalled: as root on Debian, [Install] mends it.
	ErrNotInstalled = errors.New("no Postfix is installed: run, as root, go run ./test/posttest/install" +
		" (on Debian; it starts nothing), or install it from your system's packages")
	// ErrTooOld: the instances use maillog_file and smtpd_tls_chain_files.
	ErrTooOld = errors.New("no Postfix 3.4 or newer is installed")
)

const (
	policyFile = "/usr/sbin/policy-rc.d"
	lockFile   = "/run/tlsratchet-posttest.lock"
)

// Require reports whether private instances can run here: nil, or an error that
// wraps [ErrNotRoot], [ErrNotInstalled] or [ErrTooOld], or more than one of
// them. Print it and exit 1; a test fails with it.
func Require() error {
	return require(os.Geteuid(), exec.LookPath, mailVersion)
}

func require(uid int, look func(string) (string, error), version func() (string, error)) error {
	var root error
	if uid != 0 {
		root = ErrNotRoot
	}
	for _, command := range []string{"postfix", "postconf"} {
		if _, err := look(command); err != nil {
			return errors.Join(root, ErrNotInstalled)
		}
	}
	v, err := version()
	if err == nil && !atLeast(v, 3, 4) {
		err = fmt.Errorf("%w: this is %s", ErrTooOld, v)
	}
	return errors.Join(root, err)
}

func mailVersion() (string, error) {
	out, err := exec.Command("postconf", "-dh", "mail_version").Output()
	if err != nil {
		return "", fmt.Errorf("postconf -dh mail_version: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// atLeast compares versions such as 3.7.11 and 3.12-20260101.
func atLeast(version string, major, minor int) bool {
	parts := strings.SplitN(strings.ReplaceAll(version, "-", "."), ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, err1 := strconv.Atoi(parts[0])
	b, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (a > major || a == major && b >= minor)
}

// Install installs Postfix by apt-get where it is missing, and does nothing
// where it is not. It needs root. Nothing is started, no other package is
// removed, and an existing installation and its /etc/postfix are left alone;
// a new one gets Debian's "No configuration". Programs that install at the
// same time wait for each other. What apt-get says goes to w.
func Install(w io.Writer) error {
	if err := Require(); !errors.Is(err, ErrNotInstalled) || errors.Is(err, ErrNotRoot) {
		return err
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("%w; there is no apt-get here", ErrNotInstalled)
	}
	unlock, err := lock(lockFile)
	if err != nil {
		return fmt.Errorf("installing Postfix: %w", err)
	}
	defer unlock()
	if err := Require(); !errors.Is(err, ErrNotInstalled) {
		return err // another program was quicker
	}
	allow, err := denyStart(policyFile)
	if err != nil {
		return fmt.Errorf("installing Postfix: %w", err)
	}
	if err := errors.Join(aptInstall(w), allow()); err != nil {
		return fmt.Errorf("installing Postfix: %w", err)
	}
	return Require()
}

// lock waits for the file's lock and returns the function that gives it back.
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

// denyStart sees to it that packages don't start their services: it writes
// policy-rc.d (see invoke-rc.d(8)) unless one is there, and returns what takes
// it away again. One that is there must deny already: it isn't ours to change.
func denyStart(path string) (allow func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, os.ErrExist) {
		var exit *exec.ExitError
		if err := exec.Command(path, "postfix", "start").Run(); !errors.As(err, &exit) || exit.ExitCode() != 101 {
			return nil, fmt.Errorf("%s lets packages start services (%v): install Postfix yourself", path, err)
		}
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString("#!/bin/sh\n# Written by tlsratchet while it installs Postfix: start nothing.\nexit 101\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return func() error { return os.Remove(path) }, nil
}

// aptInstall gives the answer to the package's question, then installs it.
func aptInstall(w io.Writer) error {
	seed := exec.Command("debconf-set-selections")
	seed.Stdin = strings.NewReader("postfix postfix/main_mailer_type select No configuration\n")
	if out, err := seed.CombinedOutput(); err != nil {
		return fmt.Errorf("debconf-set-selections: %w: %s", err, out)
	}
	return InstallPackage(context.Background(), w, "postfix")
}

// InstallPackage installs one of Debian's packages, which takes root, and
// writes what apt-get says to w. The lists are fetched only where the first try
// fails: a fresh image has none.
func InstallPackage(ctx context.Context, w io.Writer, name string) error {
	install := []string{"install", "--yes", "--quiet", "--no-install-recommends", "--no-remove", name}
	if apt(ctx, w, install...) == nil {
		return nil
	}
	if err := apt(ctx, w, "update", "--quiet"); err != nil {
		return err
	}
	return apt(ctx, w, install...)
}

func apt(ctx context.Context, w io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=120"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apt-get %s: %w", args[0], err)
	}
	return nil
}
