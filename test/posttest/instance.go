package posttest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tlsratchet/contrib"
)

// Instance is a private Postfix in a directory of its own. Its methods may be
// called at the same time, but for Start, Stop and Close.
type Instance struct {
	dir   string
	opts  Options
	addrs []string
	sasl  *saslServer
	keep  *keeper
}

// New writes an instance into dir, which must not exist or be empty; with "" a
// new directory under the system's for temporary files. Postfix's own user must
// be able to reach it (so [testing.T.TempDir] won't do). Close the instance in
// any case.
func New(dir string, opts Options) (*Instance, error) {
	if err := Require(); err != nil {
		return nil, err
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if dir, err = makeDir(dir); err != nil {
		return nil, fmt.Errorf("directory of %s: %w", opts.Hostname, err)
	}
	in := &Instance{dir: dir, opts: opts}
	if err := in.write(); err != nil {
		return nil, errors.Join(fmt.Errorf("instance %s: %w", opts.Hostname, err), os.RemoveAll(dir))
	}
	return in, nil
}

func makeDir(dir string) (string, error) {
	var err error
	if dir == "" {
		if dir, err = os.MkdirTemp("", "posttest"); err != nil {
			return "", err
		}
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if found, err := os.ReadDir(dir); err != nil || len(found) > 0 {
		return "", errors.Join(err, fmt.Errorf("%s is not empty", dir))
	}
	// Postfix complains about what others may write.
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	return dir, reachable(dir)
}

// reachable reports whether every user may pass through to dir.
func reachable(dir string) error {
	for d := filepath.Dir(dir); ; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err != nil {
			return err
		}
		if info.Mode()&0o001 == 0 {
			return fmt.Errorf("%s is closed to Postfix's user (mode %s)", d, info.Mode().Perm())
		}
		if d == filepath.Dir(d) {
			return nil
		}
	}
}

// write fills the directory.
func (in *Instance) write() error {
	owner, err := mailOwner()
	if err != nil {
		return err
	}
	for _, d := range []struct {
		name string
		uid  int
	}{{"etc/tls", 0}, {"spool/tlsratchet", 0}, {"data", owner}, {"mail", nobody}} {
		if err := os.MkdirAll(in.path(d.name), 0o755); err != nil {
			return err
		}
		if err := os.Chown(in.path(d.name), d.uid, -1); err != nil {
			return err
		}
	}
	for _, l := range in.opts.Listeners {
		addr, err := freeAddr(l.Host)
		if err != nil {
			return err
		}
		in.addrs = append(in.addrs, addr)
	}
	return errors.Join(in.writeConfig(), in.writeKeys())
}

func (in *Instance) writeConfig() error {
	mainCF, err := in.mainCF()
	if err != nil {
		return err
	}
	masterCF, err := in.masterCF()
	if err != nil {
		return err
	}
	checks, err := fs.ReadFile(contrib.Files, "postfix/header_checks.tlsratchet")
	if err != nil {
		return fmt.Errorf("contrib/postfix: %w", err)
	}
	table, err := fs.ReadFile(contrib.Files, "postfix/tlsratchet-policy.cf")
	if err != nil {
		return fmt.Errorf("contrib/postfix: %w", err)
	}
	return errors.Join(
		writeOld(in.path("etc/main.cf"), []byte(mainCF)),
		writeOld(in.path("etc/master.cf"), []byte(masterCF)),
		writeOld(in.path("etc/header_checks.tlsratchet"), checks),
		writeOld(in.path("etc/tlsratchet-policy.cf"), table))
}

// writeResolver writes what a chrooted smtp(8) finds its name server by, and, before
// Postfix 3.6 (known_tcp_ports), its port. Debian 13's postfix start writes the same
// files, with the machine's name server.
func (in *Instance) writeResolver() error {
	if in.opts.Resolver == "" {
		return nil
	}
	return errors.Join(
		os.MkdirAll(in.path("spool/etc"), 0o755),
		os.WriteFile(in.path("spool/etc/services"), []byte("smtp 25/tcp\n"), 0o644),
		os.WriteFile(in.path("spool/etc/resolv.conf"), []byte("nameserver "+in.opts.Resolver+"\noptions timeout:1 attempts:2\n"), 0o644))
}

// writeOld writes a file that looks a minute old: one that was written just now
// Postfix reads again and again, for two seconds, in case it isn't finished.
func writeOld(path string, content []byte) error {
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return err
	}
	past := time.Now().Add(-time.Minute)
	return os.Chtimes(path, past, past)
}

func (in *Instance) writeKeys() error {
	cert, err := in.opts.CA.Issue(in.opts.Hostname)
	if err != nil {
		return err
	}
	chain, err := chainFile(cert)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(in.path("etc/tls/server.pem"), chain, 0o600),
		os.WriteFile(in.path("etc/tls/partners.pem"), in.opts.CA.PEM(), 0o644))
}

// Start starts the instance; it is ready when Start returns. However this
// process ends, Postfix ends with it.
func (in *Instance) Start(ctx context.Context) error {
	if in.keep != nil {
		return fmt.Errorf("%s runs already", in.opts.Hostname)
	}
	if in.opts.Users != nil {
		s, err := newSASL(in.path("spool/sasl"), in.opts.Users)
		if err != nil {
			return err
		}
		in.sasl = s
	}
	keep, err := startKeeper(in.path("etc"))
	if err != nil {
		return errors.Join(err, in.stopSASL())
	}
	if _, err := in.run(ctx, "postfix", "start"); err != nil {
		lines, _ := in.Log().Lines()
		return errors.Join(fmt.Errorf("%w\n%s", err, strings.Join(lines, "\n")), keep.end(), in.stopSASL())
	}
	in.keep = keep
	return in.writeResolver()
}

// Stop stops the instance. Its directory stays, and it may be started again.
// Without a start it does nothing.
func (in *Instance) Stop() error {
	if in.keep == nil {
		return nil
	}
	err := in.keep.end()
	in.keep = nil
	if err != nil {
		err = fmt.Errorf("stopping %s: %w", in.opts.Hostname, err)
	}
	in.waitSilent()
	return errors.Join(err, in.stopSASL())
}

// waitSilent waits until nobody listens any more: the master is gone, but its last
// processes have its sockets until they find that out. It gives up in the end.
func (in *Instance) waitSilent() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, addr := range in.addrs {
		poll(ctx, func() (bool, error) {
			c, err := net.Dial("tcp", addr)
			if err == nil {
				c.Close()
			}
			return err != nil, nil
		})
	}
}

func (in *Instance) stopSASL() error {
	if in.sasl == nil {
		return nil
	}
	err := in.sasl.Close()
	in.sasl = nil
	return err
}

// Close stops the instance and removes its directory.
func (in *Instance) Close() error {
	stopped := in.Stop()
	// The master is gone; the last of its processes may still be on their way.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var removed error
	poll(ctx, func() (bool, error) {
		removed = os.RemoveAll(in.dir)
		return removed == nil, nil
	})
	return errors.Join(stopped, removed)
}

// Dir is the instance's directory; etc, spool and maillog are in it.
func (in *Instance) Dir() string { return in.dir }

// Addr is the address of the listener with that index in [Options.Listeners],
// as host:port.
func (in *Instance) Addr(listener int) string { return in.addrs[listener] }

// MilterSocket is where contrib/postfix/main.cf.tlsratchet looks for the
// milter. The milter makes the socket; Postfix's user must be able to write to
// it.
func (in *Instance) MilterSocket() string { return in.path("spool/tlsratchet/tlsratchet.sock") }

// Master returns the process id of master(8), which must run.
func (in *Instance) Master() (int, error) {
	text, err := os.ReadFile(in.path("spool/pid/master.pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// PolicySocket is where contrib/postfix/tlsratchet-policy.cf looks for the
// answers.
func (in *Instance) PolicySocket() string { return in.path("spool/tlsratchet/policy.sock") }

// Maillog is the path of the instance's log.
func (in *Instance) Maillog() string { return in.path("maillog") }

// CA is the authority of the instance's certificate.
func (in *Instance) CA() *CA { return in.opts.CA }

// ClientTLS is the TLS of a peer that takes any version from 1.2 on and knows
// the instance's CA. The caller may change it.
func (in *Instance) ClientTLS() *tls.Config {
	return &tls.Config{RootCAs: in.opts.CA.Pool(), ServerName: in.opts.Hostname, MinVersion: tls.VersionTLS12}
}

func (in *Instance) path(name string) string { return filepath.Join(in.dir, name) }

// run runs a Postfix command on this instance and returns what it printed.
func (in *Instance) run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, append([]string{"-c", in.path("etc")}, args...)...)
	cmd.Env = environment()
	cmd.WaitDelay = time.Second // for a child that has the output
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

func mailOwner() (int, error) {
	out, err := exec.Command("postconf", "-dh", "mail_owner").Output()
	if err != nil {
		return 0, fmt.Errorf("postconf -dh mail_owner: %w", err)
	}
	u, err := user.Lookup(strings.TrimSpace(string(out)))
	if err != nil {
		return 0, fmt.Errorf("the user of Postfix: %w", err)
	}
	return strconv.Atoi(u.Uid)
}

// Reload has the instance read its configuration again. Its processes end once
// they are idle.
func (in *Instance) Reload(ctx context.Context) error {
	_, err := in.run(ctx, "postfix", "reload")
	return err
}

// Logrotate rotates the instance's log, as postfix(1) does.
func (in *Instance) Logrotate(ctx context.Context) error {
	_, err := in.run(ctx, "postfix", "logrotate")
	return err
}
