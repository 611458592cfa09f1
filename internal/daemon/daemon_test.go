package daemon

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/config"
	"tlsratchet/milter/wire"
	"tlsratchet/test/mtatest"
	"tlsratchet/tlsstate/store"
)

// lines is a log that hands over its lines.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		l <- string(line)
	}
	return len(b), nil
}

// until reads lines up to the first one with a text, which it returns.
func (l lines) until(t *testing.T, text string) string {
	t.Helper()
	patience := time.After(time.Minute)
	for {
		select {
		case line := <-l:
			if strings.Contains(line, text) {
				return line
			}
		case <-patience:
			t.Fatalf("no %q in the log", text)
		}
	}
}

// testConfig is one whose files are in a folder of the test.
func testConfig(t *testing.T, change ...func(config.Flags)) *config.Config {
	t.Helper()
	folder := t.TempDir()
	history := filepath.Join(folder, "history.db")
	o := config.Flags{"history": history, "listen": "unix:" + filepath.Join(folder, "m.sock")}
	for _, c := range change {
		c(o)
	}
	cfg, err := config.Load("", nil, o)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Selfcheck.Address, cfg.Status.Listen, cfg.Outbound.Listen = config.Off, config.Off, nil
	return cfg
}

// running starts a daemon. stop ends it as a signal does, and wants no error.
func running(t *testing.T, cfg *config.Config) (d *Daemon, log lines, stop func()) {
	t.Helper()
	log = make(lines, 1000)
	d, err := New(cfg, "test", log)
	if err != nil {
		t.Fatal(err)
	}
	done, ended := make(chan struct{}), make(chan error, 1)
	// A cleanup may stop it, when the context of the test has ended.
	go func() { ended <- d.Run(context.WithoutCancel(t.Context()), done) }()
	log.until(t, "msg=serving")
	return d, log, func() {
		t.Helper()
		close(done)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// closes reports when the histories are closed.
type closes struct {
	store.Store
	closed atomic.Bool
}

func (c *closes) Close() error {
	c.closed.Store(true)
	return c.Store.Close()
}

// TestFailingListener: the histories stay open until the sessions under way have
// ended, also where it is a failure that ends the daemon.
func TestFailingListener(t *testing.T) {
	cfg := testConfig(t)
	cfg.Limits.Drain = 1 << 40 // as long as it takes
	log := make(lines, 1000)
	d, err := New(cfg, "test", log)
	if err != nil {
		t.Fatal(err)
	}
	memory := &closes{Store: d.histories}
	d.histories = memory
	listener := d.doors[0].listeners[0]
	ended := make(chan error, 1)
	go func() { ended <- d.Run(t.Context(), nil) }()
	log.until(t, "msg=serving")

	s, err := mtatest.Dial(t.Context(), "unix", cfg.Listen[0].Address, mtatest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	macros := "M{client_addr}\x00192.0.2.10\x00{client_name}\x00unknown\x00{tls_version}\x00TLSv1.3\x00{cipher}\x00TLS_AES_256_GCM_SHA384\x00{daemon_addr}\x00192.0.2.1\x00{daemon_port}\x0025\x00"
	send(t, s, 'D', macros)
	send(t, s, 'M', "<a@bank.example>\x00")
	if code, _, err := s.Recv(); err != nil || code != 'c' {
		t.Fatalf("%q, %v: want to be in the middle of a message", code, err)
	}
	listener.Close() // which nobody asked for
	log.until(t, "a listener failed")
	if memory.closed.Load() {
		t.Error("the histories are closed under a session")
	}
	send(t, s, 'R', "<b@here.example>\x00")
	if code, _, err := s.Recv(); err != nil || code != 'a' {
		t.Errorf("%q, %v: want the message accepted", code, err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "use of closed network connection") {
		t.Errorf("ended with %v", err)
	}
	if !memory.closed.Load() {
		t.Error("the histories are not closed")
	}
}

// TestDeletedSocket: SIGHUP makes a socket again whose file was deleted, of each
// door.
func TestDeletedSocket(t *testing.T) {
	cfg := testConfig(t)
	folder := filepath.Dir(cfg.Listen[0].Address)
	in := func(name string) wire.Spec {
		return wire.Spec{Network: wire.NetworkUnix, Address: filepath.Join(folder, name)}
	}
	cfg.PolicyService.Listen = []wire.Spec{in("ask.sock")}
	cfg.Outbound.Listen, cfg.Outbound.Log = []wire.Spec{in("policy.sock")}, config.Off
	sockets := []string{cfg.Listen[0].Address, in("ask.sock").Address, in("policy.sock").Address, cfg.AdminSocket()}
	d, log, stop := running(t, cfg)
	for _, socket := range sockets {
		if err := os.Remove(socket); err != nil {
			t.Fatal(err)
		}
	}
	d.Reload(cfg)
	for _, socket := range sockets {
		log.until(t, "listening on a new one")
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	s, err := mtatest.Dial(t.Context(), "unix", sockets[0], mtatest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	stop()
	for _, socket := range sockets {
		if _, err := os.Stat(socket); err == nil {
			t.Errorf("%s is left behind", socket)
		}
	}
}

// TestTooManyConnections: a limit above what descriptors allow is warned of: by what
// systemd gives the service, or without it, and at the start, by what this process has.
func TestTooManyConnections(t *testing.T) {
	unix := uint64(10 * wire.Spec{Network: wire.NetworkUnix}.Descriptors())
	local, tcp := wire.Spec{Network: wire.NetworkUnix, Address: "/x"}, wire.Spec{Network: wire.NetworkTCP, Address: "127.0.0.1:1"}
	for _, tt := range []struct {
		listen, policy, outbound []wire.Spec
		needed                   uint64
	}{
		{[]wire.Spec{tcp}, nil, nil, 256 + 10},
		{[]wire.Spec{tcp, local}, nil, nil, 256 + unix},
		{[]wire.Spec{{Network: wire.NetworkSystemd}}, nil, nil, 256 + unix},
		{[]wire.Spec{local}, []wire.Spec{local}, []wire.Spec{tcp, tcp}, 256 + 2*unix + 10},
	} {
		cfg := testConfig(t)
		cfg.Limits.Connections, cfg.Listen, cfg.PolicyService.Listen, cfg.Outbound.Listen = 10, tt.listen, tt.policy, tt.outbound
		few, enough := tooManyConnections(cfg, tt.needed-1), tooManyConnections(cfg, tt.needed)
		want := fmt.Sprintf("limits.connections: 10 connections for each kind of listener may take %d file descriptors, and the service may have %d: ", tt.needed, tt.needed-1)
		if len(few) != 1 || !strings.HasPrefix(few[0], want) || enough != nil {
			t.Errorf("%q and %q, want %s", few, enough, want)
		}
	}

	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "systemctl"), []byte("#!/bin/sh\necho LoadState=$STATE; echo LimitNOFILE=$LIMIT\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	cfg := testConfig(t)
	cfg.Limits.Connections = 1000
	for _, tt := range []struct{ state, limit, want string }{
		{"loaded", "1024", "have 1024"}, {"loaded", "32768", ""}, {"loaded", "infinity", ""}, {"not-found", "1024", ""},
	} {
		t.Setenv("STATE", tt.state)
		t.Setenv("LIMIT", tt.limit)
		warnings, err := Verify(t.Context(), cfg)
		if got := strings.Join(warnings, "\n"); err != nil || !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s, %s: %q, %v", tt.state, tt.limit, got, err)
		}
	}

	cfg.Limits.Connections = 1 << 30
	if warnings, err := Verify(t.Context(), cfg); err != nil || len(warnings) != 1 { // of this process, without a unit
		t.Errorf("without a unit: %q, %v", warnings, err)
	}
	log := make(lines, 1000)
	d, err := New(cfg, "test", log)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	d.started()
	log.until(t, `warning="limits.connections: `)
}

// TestServingLine: the line of the start names the sockets that Postfix asks.
func TestServingLine(t *testing.T) {
	cfg := testConfig(t)
	socket := cfg.Listen[0].Address
	cfg.PolicyService.Listen = []wire.Spec{{Network: wire.NetworkUnix, Address: socket + ".ask"}}
	cfg.Outbound.Listen, cfg.Outbound.Log = []wire.Spec{{Network: wire.NetworkUnix, Address: socket + ".out"}}, config.Off
	log, done, ended := make(lines, 1000), make(chan struct{}), make(chan error, 1)
	d, err := New(cfg, "test", log)
	if err != nil {
		t.Fatal(err)
	}
	go func() { ended <- d.Run(t.Context(), done) }()
	want := " listen=[" + socket + "] policy_service=[" + socket + ".ask] outbound=[" + socket + ".out] "
	if line := log.until(t, "msg=serving"); !strings.Contains(line, want) {
		t.Errorf("%s: want %s", line, want)
	}
	close(done)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func send(t *testing.T, s *mtatest.Session, command byte, data string) {
	t.Helper()
	if err := s.Send(command, []byte(data)); err != nil {
		t.Fatal(err)
	}
}

// TestReload compares with what runs, not with the file before: a setting that
// was put back needs no restart.
func TestReload(t *testing.T) {
	cfg := testConfig(t)
	log := make(lines, 1000)
	d, err := New(cfg, "test", log)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	moved := *cfg
	moved.Limits.Connections, moved.Alert.PerHour, moved.PlainListeners = 7, 30, []string{"24"}
	const warning = "need a restart"
	for range 2 {
		d.Reload(&moved)
		if line := log.until(t, warning); !strings.Contains(line, `settings="[plain_listeners limits.connections]"`) {
			t.Error(line)
		}
	}
	d.Reload(cfg)
	d.log.Info("the end")
	var after []string
	for line := range log {
		if after = append(after, line); strings.Contains(line, "the end") {
			break
		}
	}
	if slices.ContainsFunc(after, func(line string) bool { return strings.Contains(line, warning) }) {
		t.Errorf("back to what runs, and yet: %q", after)
	}
}

// TestBrokenSecret: a destination whose secret can't be read is left out, and
// the daemon serves.
func TestBrokenSecret(t *testing.T) {
	cfg := testConfig(t)
	cfg.Destinations = []alert.Settings{
		{Kind: alert.KindWebhook, Least: "warning", URL: "https://alerts.example", Secret: "file:/nowhere/key"},
		{Kind: alert.KindAlertmanager, Least: "warning", URL: "http://127.0.0.1:1"},
	}
	log := make(lines, 1000)
	d, err := New(cfg, "test", log)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	if line := log.until(t, "left out"); !strings.Contains(line, "level=ERROR") || !strings.Contains(line, "/nowhere/key") {
		t.Error(line)
	}
	if _, ok := d.watch.alerts.Stats()["alertmanager http://127.0.0.1:1"]; !ok {
		t.Errorf("the other destination is not there: %v", d.watch.alerts.Stats())
	}
}

// TestReloadAtTheEnd: a reload that comes after the end opens no socket again, and
// /readyz reports the end from its beginning on.
func TestReloadAtTheEnd(t *testing.T) {
	cfg := testConfig(t)
	d, _, stop := running(t, cfg)
	stop()
	d.Reload(cfg)
	if _, err := os.Stat(cfg.Listen[0].Address); err == nil {
		t.Error("listens again")
	}
	if err := d.ready(); err == nil || err.Error() != "stopping" {
		t.Errorf("ready: %v", err)
	}
}
