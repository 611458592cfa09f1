package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// daemon is a running tlsratchet.
type daemon struct {
	t       *testing.T
	cmd     *exec.Cmd
	history string

	lockedLog
}

// serve starts tlsratchet on the socket, with its memory in the file history
// ("" for a new one), a config and flags, and ends it with the test.
func serve(t *testing.T, socket, history, config string, flags ...string) *daemon {
	t.Helper()
	if history == "" {
		history = filepath.Join(t.TempDir(), "history.db")
	}
	args := append([]string{"serve", "--listen", "unix:" + socket, "--history", history}, flags...)
	if config != "" {
		file := filepath.Join(t.TempDir(), "tlsratchet.toml")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", file)
	}
	d := launch(t, exec.Command(binary, args...))
	d.history = history
	return d
}

// launch starts a daemon by a command of its own.
func launch(t *testing.T, cmd *exec.Cmd) *daemon { t.Helper(); return start(t, cmd, "msg=serving") }

// start starts a program that is ready once its log has a text.
func start(t *testing.T, cmd *exec.Cmd, ready string) *daemon {
	t.Helper()
	d := &daemon{t: t, cmd: cmd}
	cmd.Stderr = d
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.cmd.ProcessState == nil {
			d.stop(syscall.SIGTERM)
		}
		if t.Failed() {
			t.Logf("the log of %s:\n%s", filepath.Base(cmd.Path), d.text())
		}
	})
	d.wait(ready)
	return d
}

// wait waits for a text in the log and returns its line.
func (d *daemon) wait(text string) string {
	d.t.Helper()
	var found []string
	eventually(d.t, fmt.Sprintf("%q in the log", text), func() bool {
		found = d.lines(text)
		return len(found) > 0
	})
	return found[0]
}

// downgrades are the log's lines of downgrades.
func (d *daemon) downgrades() []string { return d.lines("msg=downgrade") }

// lines are those of the log that have a text.
func (d *daemon) lines(text string) (lines []string) {
	for line := range strings.SplitSeq(d.text(), "\n") {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return lines
}

func (d *daemon) stop(sig syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(sig); err != nil {
		d.t.Fatal(err)
	}
	d.cmd.Process.Signal(syscall.SIGCONT) // where it is frozen
	err := d.cmd.Wait()
	if sig == syscall.SIGTERM && err != nil {
		d.t.Errorf("SIGTERM: %v", err)
	}
}

// freeze stops the process by SIGSTOP, and returns once all of its threads have
// stopped: until then they answer.
func (d *daemon) freeze() {
	d.t.Helper()
	err := d.cmd.Process.Signal(syscall.SIGSTOP)
	if err == nil {
		err = unix.Waitid(unix.P_PID, d.cmd.Process.Pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// remembered stops the daemon and returns what it knows of an identity.
func (d *daemon) remembered(id string) tlsstate.History {
	d.t.Helper()
	if d.cmd.ProcessState == nil {
		d.stop(syscall.SIGTERM)
	}
	return recall(d.t, d.history, id)
}

// pinIsWritten waits until the file of a daemon that runs holds a pin: a kill can't
// lose it then. A copy is looked at, which may be torn.
func (d *daemon) pinIsWritten(id string) {
	d.t.Helper()
	identity, err := tlsstate.ParseIdentity(id)
	if err != nil {
		d.t.Fatal(err)
	}
	file := filepath.Join(d.t.TempDir(), "copy.db")
	eventually(d.t, "the pin of "+id+" is written", func() bool {
		b, err := os.ReadFile(d.history)
		if err == nil {
			err = os.WriteFile(file, b, 0o600)
		}
		if err != nil {
			d.t.Fatal(err)
		}
		s, err := store.Open(file, store.Options{ReadTimeout: time.Minute})
		if err != nil {
			return false
		}
		defer s.Close()
		h, err := s.Load(identity)
		return err == nil && h.Pin(tlsstate.TLS12).Formed != 0
	})
}

// openMemory opens a history file and waits for a busy disk: the defaults are those
// of a daemon whose mail must not wait.
func openMemory(t *testing.T, file string) *store.File {
	t.Helper()
	s, err := store.Open(file, store.Options{ReadTimeout: time.Minute, LockTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func recall(t *testing.T, file, id string) tlsstate.History {
	t.Helper()
	s := openMemory(t, file)
	defer s.Close()
	identity, err := tlsstate.ParseIdentity(id)
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.Load(identity)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// taught makes a history file in which an identity was seen at a level on each
// of the days before today, as far back as asked.
func taught(t *testing.T, level tlsstate.Level, days int, ids ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "history.db")
	s := openMemory(t, file)
	rule := tlsstate.DefaultPolicy()
	rule.PinUpTo = tlsstate.TLS13
	today := tlsstate.DayOf(time.Now())
	for _, id := range ids {
		identity, err := tlsstate.ParseIdentity(id)
		if err != nil {
			t.Fatal(err)
		}
		for ago := days; ago > 0; ago-- {
			o := tlsstate.Observation{Day: today - tlsstate.Day(ago), Security: tlsstate.Security{Level: level}}
			if _, err := s.Update(identity, netip.Addr{}, today, func(h tlsstate.History) tlsstate.History {
				_, after := tlsstate.Judge(h, o, &rule)
				return after
			}); err != nil {
				t.Fatal(fmt.Errorf("%s: %w", id, err))
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

// listener returns the identity of the listener at an address: its port.
func listener(addr string) string { return "listener:" + port(addr) }

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }
