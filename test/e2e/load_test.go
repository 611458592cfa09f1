package e2e

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tlsratchet/test/mtatest"
)

var long = flag.Bool("soak", false, "reload and restart more often")

// often returns how many times something is done: in a test, or in a soak.
func often(short, soak int) int {
	if *long {
		return soak
	}
	return short
}

// trust is the base of the daemons' configuration here. Every message is
// followed to its end; nobody asks DNS; a read of the memory may be as slow as the
// machine.
const trust = "spf = \"off\"\nheader = \"all\"\nstatus.listen = \"off\"\nlimits.read_milliseconds = 10000\n[policy]\npin_after_days = 1\n"

// TestReloadUnderLoad has the configuration change back and forth under
// sessions: none notices.
func TestReloadUnderLoad(t *testing.T) {
	dir := t.TempDir()
	socket, config := filepath.Join(dir, "m"), filepath.Join(dir, "tlsratchet.toml")
	write := func(i int) {
		text := trust
		if i%2 == 1 {
			text = strings.Replace(trust, "header = \"all\"", "header = \"downgrade\"", 1) + "stripped = \"tempfail\"\n"
		}
		text += "[outbound]\nlisten = []\n" // postconf(1) takes a second where this machine has no main.cf
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(0)
	d := launch(t, exec.Command(binary, "serve", "--config", config, "--listen", "unix:"+socket, "--history", filepath.Join(dir, "history.db")))
	load := startLoad(t, socket, func(s *sender) error { return s.session() })
	reloads, read := often(200, 1000), 0
	for i := range reloads {
		write(i + 1)
		if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		read = d.waitAfter(read, "configuration reloaded")
	}
	load.stop()
	if text := d.text(); strings.Contains(text, "level=ERROR") {
		t.Errorf("the log:\n%s", text)
	}
	t.Logf("%d reloads, %d messages in %d sessions", reloads, load.messages.Load(), load.sessions.Load())
}

// TestRestartUnderLoad stops and starts a daemon on a socket that outlives it.
// A message that began gets its answer; the next finds the connection closed
// and comes by a new one, which waits for the next daemon if none runs.
func TestRestartUnderLoad(t *testing.T) {
	dir := t.TempDir()
	file := inherited(t, filepath.Join(dir, "m"))
	config := filepath.Join(dir, "tlsratchet.toml")
	if err := os.WriteFile(config, []byte(trust), 0o600); err != nil {
		t.Fatal(err)
	}
	history := filepath.Join(dir, "history.db")
	d := activated(t, config, history, file)
	steadyPeer(t, filepath.Join(dir, "m"), "new; ")
	load := startLoad(t, filepath.Join(dir, "m"), func(s *sender) error { return s.again() })
	restarts := often(8, 100)
	for i := range restarts {
		load.await(int64(20 * (i + 1)))
		d.stop(syscall.SIGTERM)
		if text := d.text(); strings.Contains(text, "cut off") || strings.Contains(text, "level=ERROR") {
			t.Errorf("restart %d:\n%s", i, text)
		}
		d = activated(t, config, history, file)
	}
	load.stop()
	steadyPeer(t, filepath.Join(dir, "m"), "steady; ")
	t.Logf("%d restarts, %d messages in %d sessions, %d of them on a new connection",
		restarts, load.messages.Load(), load.sessions.Load(), load.redials.Load())
}

// steadyPeer has one peer come over TLS, and wants its verdict.
func steadyPeer(t *testing.T, socket, want string) {
	t.Helper()
	s, err := mtatest.Dial(t.Context(), "unix", socket, mtatest.Options{Macros: macros("192.0.2.1")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r, err := s.Message(letter)
	if err != nil || len(r.Edits) != 1 || !strings.HasPrefix(r.Edits[0].Value, want) {
		t.Errorf("%+v, %v, want a header with %q", r, err, want)
	}
}

// inherited is a listening socket for others to serve, as systemd holds it.
func inherited(t *testing.T, path string) *os.File {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.SetUnlinkOnClose(false)
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// activated starts a daemon on such sockets as systemd does: the shell sets
// the process its own id, and becomes the daemon.
func activated(t *testing.T, config, history string, files ...*os.File) *daemon {
	t.Helper()
	cmd := exec.Command("sh", "-c", `export LISTEN_PID=$$; exec "$@"`, "sh",
		binary, "serve", "--config", config, "--listen", "systemd", "--history", history)
	cmd.Env = append(os.Environ(), fmt.Sprint("LISTEN_FDS=", len(files)))
	cmd.ExtraFiles = files
	return launch(t, cmd)
}

// TestActivatedDoors: systemd passes the sockets of all doors, in a folder where the
// daemon may not make its own; each door gets those with its name.
func TestActivatedDoors(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	config := in("tlsratchet.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "%s\n[policy_service]\nlisten = [\"unix:%s\"]\n", trust, in("policy-service.sock")), 0o600); err != nil {
		t.Fatal(err)
	}
	activated(t, config, in("history.db"), inherited(t, in("policy-service.sock")), inherited(t, in("m")), inherited(t, in("policy.sock")))
	steadyPeer(t, in("m"), "new; ")
	for _, x := range []struct{ name, request, want string }{
		{"policy-service.sock", "request=smtpd_access_policy\nprotocol_state=RCPT\n\n", "action=DUNNO\n\n"},
		{"policy.sock", "get bank.example\r\n", "END\r\n"},
	} {
		c, err := net.Dial("unix", in(x.name))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, x.request); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(x.want))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != x.want {
			t.Errorf("%s answers %q, %v", x.name, got, err)
		}
	}
}

// TestActivatedOff: who asks at a socket of a door that is switched off does not wait,
// though systemd keeps the socket open.
func TestActivatedOff(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	config := in("tlsratchet.toml")
	if err := os.WriteFile(config, []byte(trust+"\n[outbound]\nlisten = []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	activated(t, config, in("history.db"), inherited(t, in("policy-service.sock")), inherited(t, in("m")), inherited(t, in("policy.sock")))
	for _, name := range []string{"policy-service.sock", "policy.sock"} {
		c, err := net.Dial("unix", in(name))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
	steadyPeer(t, in("m"), "new; ")
}

// waitAfter waits until the log has a text after its first n bytes, and returns where
// that ends: a log of many messages is not to be searched again and again.
func (d *daemon) waitAfter(n int, text string) int {
	d.t.Helper()
	eventually(d.t, fmt.Sprintf("%q in the log after %d bytes", text, n), func() bool {
		before, _, found := strings.Cut(d.after(n), text)
		if !found {
			before = before[:strings.LastIndexByte(before, '\n')+1]
		}
		n += len(before)
		return found
	})
	return n + len(text)
}

var letter = mtatest.Message{
	From: "alice@bank.example", Rcpts: []string{"bob@ours.example"},
	Headers: [][2]string{{"From", "alice@bank.example"}, {"Subject", "hello"}}, Body: []byte("hello\r\n"),
}

// macros are those of a session over TLS.
func macros(addr string) map[string]string {
	return map[string]string{
		"{client_addr}": addr, "{client_name}": "unknown", "{client_ptr}": "unknown", "{client_resolve}": "FAIL",
		"{tls_version}": "TLSv1.3", "{cipher}": "TLS_AES_256_GCM_SHA384", "{cipher_bits}": "256",
		"{daemon_addr}": "192.0.2.200", "{daemon_port}": "25", "i": "4F2A1",
	}
}

// load is senders at work. Any error of theirs fails the test.
type load struct {
	t                           *testing.T
	cancel                      context.CancelFunc
	senders                     sync.WaitGroup
	sessions, messages, redials atomic.Int64
}

// sender is one of them, with the session that it has.
type sender struct {
	*load
	ctx    context.Context
	socket string
	peer   int
	sent   int
	on     *mtatest.Session
}

// startLoad has four senders do one thing over and over.
func startLoad(t *testing.T, socket string, do func(*sender) error) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{t: t, cancel: cancel}
	for i := range 4 {
		s := &sender{load: l, ctx: ctx, socket: socket, peer: i << 12}
		l.senders.Go(func() {
			for ctx.Err() == nil {
				if err := do(s); err != nil {
					t.Errorf("peer %d: %v", s.peer, err)
					return
				}
			}
			s.hangUp()
		})
	}
	t.Cleanup(l.stop)
	return l
}

func (l *load) stop() {
	l.cancel()
	l.senders.Wait()
}

// await waits until so many messages went through.
func (l *load) await(messages int64) {
	l.t.Helper()
	eventually(l.t, fmt.Sprintf("%d messages went through", messages), func() bool { return l.messages.Load() >= messages })
}

// dial begins a session of the next peer. It is not cut short when the load
// ends: a daemon is there then.
func (s *sender) dial() (err error) {
	s.peer++
	addr := fmt.Sprintf("198.51.%d.%d", s.peer>>8&255, s.peer&255)
	s.on, err = mtatest.Dial(context.WithoutCancel(s.ctx), "unix", s.socket, mtatest.Options{Macros: macros(addr)})
	if err == nil {
		s.sessions.Add(1)
	}
	return err
}

func (s *sender) hangUp() {
	if s.on != nil {
		s.on.Close()
		s.on = nil
	}
}

// session is three messages that must all go well.
func (s *sender) session() error {
	if err := s.dial(); err != nil {
		return err
	}
	defer s.hangUp()
	for range 3 {
		if _, err := s.message(); err != nil {
			return err
		}
	}
	return nil
}

// again is one message, on a new connection where the daemon closed the one
// that was there, or those that it was given: on a busy machine a sender may meet
// each restart. It must not have answered to that message before.
func (s *sender) again() (err error) {
	for range often(8, 100) + 1 {
		if s.on == nil {
			if err = s.dial(); err != nil {
				s.redials.Add(1)
				continue
			}
		}
		r, failed := s.message()
		if failed == nil {
			if s.sent++; s.sent%3 == 0 {
				s.hangUp()
			}
			return nil
		}
		s.hangUp()
		if len(r.Replies) > 0 {
			return fmt.Errorf("left within a message, after %v: %w", r.Replies, failed)
		}
		s.redials.Add(1)
		err = failed
	}
	return fmt.Errorf("no connection was answered: %w", err)
}

func (s *sender) message() (mtatest.Result, error) {
	r, err := s.on.Message(letter)
	switch {
	case err != nil:
		return r, err
	case r.End.Code != 'a' && r.End.Code != 'c':
		return r, fmt.Errorf("the message was answered %s", r.End)
	}
	s.messages.Add(1)
	return r, nil
}
