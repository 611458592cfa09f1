package daemon

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tlsratchet/internal/config"
	"tlsratchet/milter/wire"
)

// TestNotify: what the service manager is sent, in this order.
func TestNotify(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	next := func(want string) string {
		t.Helper()
		b := make([]byte, 4096)
		for {
			_ = manager.SetReadDeadline(time.Now().Add(time.Minute))
			n, err := manager.Read(b)
			if err != nil {
				t.Fatalf("no %q: %v", want, err)
			}
			got := string(b[:n])
			if got == "WATCHDOG=1" && want != got {
				continue
			}
			if !strings.HasPrefix(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			return got
		}
	}

	cfg := testConfig(t)
	cfg.Limits.Drain = 90 * time.Second
	d, log, stop := running(t, cfg)
	next("READY=1")
	next("WATCHDOG=1")
	hangup, ended := make(chan os.Signal), make(chan bool)
	go func() {
		d.ReloadOn(t.Context(), hangup, func() error { d.Reload(cfg); return nil })
		close(ended)
	}()
	hangup <- syscall.SIGHUP
	before, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(next("RELOADING=1\nMONOTONIC_USEC="), "RELOADING=1\nMONOTONIC_USEC=")))
	if err != nil || before <= 0 {
		t.Errorf("%d, %v", before, err)
	}
	next("READY=1")
	log.until(t, "configuration reloaded")
	stop()
	// systemd's own limit is shorter than this drain.
	if got := next("STOPPING=1"); !strings.Contains(got, "\nEXTEND_TIMEOUT_USEC=120000000") {
		t.Errorf("got %q", got)
	}
	// One that comes now is not the end of the stop.
	hangup <- syscall.SIGHUP
	<-ended
	d.notify.send("the end")
	next("the end")
}

// TestStopWithinReload: a stop does not wait until a reload has Postfix's settings.
func TestStopWithinReload(t *testing.T) {
	bin := t.TempDir()
	asked := filepath.Join(bin, "asked")
	script := "#!/bin/sh\n[ -e " + asked + "2 ] && exec sleep 3600\n[ -e " + asked + " ] && >" + asked + "2\n>" + asked + "\n[ \"$3\" = -P ] || echo smtp_tls_security_level = may\n"
	if err := os.WriteFile(filepath.Join(bin, "postconf"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	cfg := testConfig(t)
	cfg.Outbound.Action, cfg.Outbound.Log = config.Hold, config.Off
	cfg.Outbound.Listen = []wire.Spec{{Network: "unix", Address: filepath.Join(bin, "policy.sock")}}
	d, log, stop := running(t, cfg)
	<-d.sending.permitted
	reloaded := make(chan bool)
	go func() { d.Reload(cfg); close(reloaded) }()
	for d.mu.TryLock() { // until the reload has it
		d.mu.Unlock()
	}
	stop()
	<-reloaded
	d.log.Info("the end")
	for line := ""; !strings.Contains(line, "the end"); line = log.until(t, "") {
		if strings.Contains(line, "not held") {
			t.Errorf("the stop waited: %s", line)
		}
	}
}
