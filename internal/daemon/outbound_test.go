package daemon

import (
	"bufio"
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tlsratchet/internal/config"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/statefile"
	"tlsratchet/milter/wire"
	"tlsratchet/tlsstate/store"
)

// TestSlowPostconf: received mail does not wait for Postfix's settings of the
// sending side, which postconf(1) takes a second to refuse where there is no
// main.cf. Look-ups do: nobody answers them before it is known what is allowed.
func TestSlowPostconf(t *testing.T) {
	cfg := testConfig(t, func(o config.Flags) { o["pin-after-days"] = "1" })
	bin := t.TempDir()
	gate := filepath.Join(bin, "gate")
	if err := unix.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\n[ -p " + gate + " ] && read -r line <" + gate + " && rm " + gate + "\necho smtp_tls_security_level = may\n"
	if err := os.WriteFile(filepath.Join(bin, "postconf"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	socket := filepath.Join(t.TempDir(), "policy.sock")
	cfg.Outbound.Listen, cfg.Outbound.Log = []wire.Spec{{Network: "unix", Address: socket}}, filepath.Join(bin, "mail.log")

	d, _, stop := running(t, cfg)

	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("get bank.example\r\n")); err != nil {
		t.Fatal(err)
	}
	// What is delivered meanwhile is learned all the same.
	sent := time.Now().Format(time.RFC3339Nano) + " mx postfix/smtp[77]: Untrusted TLS connection established to mx.bank.example[20.0.0.1]:25: TLSv1.2 with cipher X\n" +
		time.Now().Format(time.RFC3339Nano) + " mx postfix/smtp[77]: Q1: to=<a@bank.example>, relay=mx.bank.example[20.0.0.1]:25, delay=0.1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok)\n"
	if err := os.WriteFile(cfg.Outbound.Log, []byte(sent), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(gate, []byte("go on\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "END\r\n" {
		t.Errorf("answer %q, %v", line, err)
	}
	if p := d.sending.out.Overview(); p.Forbidden != "" {
		t.Errorf("forbidden: %s", p.Forbidden)
	}
	pinned := func() bool {
		e, err := d.sending.Explain("bank.example")
		return err == nil && strings.Contains(strings.Join(e.Rules, " "), "pinned at TLSv1.2")
	}
	for end := time.Now().Add(time.Minute); !pinned(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			e, err := d.sending.Explain("bank.example")
			t.Fatalf("the first delivery formed no pin: %v, %v", e.Rules, err)
		}
	}
	stop()
}

// TestHeldAgain: that Postfix's settings allow to hold again is logged as that.
func TestHeldAgain(t *testing.T) {
	bin := t.TempDir()
	setting := func(level string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(bin, "postconf"), []byte("#!/bin/sh\necho smtp_tls_security_level = "+level+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	setting("dane")
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	cfg := testConfig(t)
	cfg.Outbound.Action, cfg.Outbound.Log = config.Hold, config.Off
	cfg.Outbound.Listen = []wire.Spec{{Network: "unix", Address: filepath.Join(t.TempDir(), "policy.sock")}}
	d, log, stop := running(t, cfg)
	log.until(t, `msg="destinations are not held" reason="smtp_tls_security_level`)
	setting("may")
	d.Reload(cfg)
	if line := log.until(t, "destinations are "); !strings.Contains(line, "held again") {
		t.Error(line)
	}
	stop()
}

// TestStateIsWrittenInTurn: an operator's word is kept while the state is written
// anyway, and neither takes the other's file.
func TestStateIsWrittenInTurn(t *testing.T) {
	var log bytes.Buffer
	s := &sending{state: statefile.At(filepath.Join(t.TempDir(), "outbound.json")), log: slog.New(slog.NewTextHandler(&log, nil)), follower: &outbound.Follower{}}
	s.out = outbound.New(outbound.Options{Histories: store.NewMemory(10), Now: time.Now})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for n := range 20 {
				s.Override([]string{outbound.Hold, outbound.Release, outbound.Auto}[n%3])
			}
		})
	}
	all.Wait()
	if log.Len() > 0 {
		t.Error(&log)
	}
}

// TestStopsBeforePostfixAnswers: a daemon whose postconf(1) hangs ends all the same.
func TestStopsBeforePostfixAnswers(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "postconf"), []byte("#!/bin/sh\nexec sleep 3600\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	cfg := testConfig(t)
	cfg.Outbound.Log = config.Off
	cfg.Outbound.Listen = []wire.Spec{{Network: "unix", Address: filepath.Join(t.TempDir(), "policy.sock")}}
	_, _, stop := running(t, cfg)
	c, err := net.Dial("unix", cfg.Outbound.Listen[0].Address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	stop()
}

// TestSettingsAreReadAgain: Postfix's settings are read again without a reload. Where
// they can't be, those that were read last hold.
func TestSettingsAreReadAgain(t *testing.T) {
	bin := t.TempDir()
	postconf := func(script string) {
		t.Helper()
		next := filepath.Join(bin, "next")
		if err := errors.Join(os.WriteFile(next, []byte("#!/bin/sh\n"+script+"\n"), 0o700), os.Rename(next, filepath.Join(bin, "postconf"))); err != nil {
			t.Fatal(err)
		}
	}
	postconf("exit 1")
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	cfg := testConfig(t)
	cfg.Outbound.Action, cfg.Outbound.Log = config.Hold, config.Off
	cfg.Outbound.Listen = []wire.Spec{{Network: "unix", Address: filepath.Join(t.TempDir(), "policy.sock")}}
	log := make(lines, 1000)
	d, err := New(cfg, "test", log)
	if err != nil {
		t.Fatal(err)
	}
	d.sending.askEvery = time.Millisecond
	done, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- d.Run(t.Context(), done) }()
	log.until(t, `msg="destinations are not held" reason="the settings in`)
	postconf("echo smtp_tls_security_level = may")
	log.until(t, "destinations are held again")
	asked := filepath.Join(bin, "asked")
	postconf(">>" + asked + "; exit 1")
	for _, err := os.Stat(asked); err != nil; _, err = os.Stat(asked) {
		time.Sleep(time.Millisecond)
	}
	postconf("echo smtp_tls_security_level = dane")
	if line := log.until(t, "destinations are "); !strings.Contains(line, "is dane") {
		t.Error(line)
	}
	close(done)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestStateIsWrittenOnce: a state that did not change is not written again, and one
// that could not be written is logged once and written later.
func TestStateIsWrittenOnce(t *testing.T) {
	var log bytes.Buffer
	file := filepath.Join(t.TempDir(), "folder", "outbound.json")
	s := &sending{log: slog.New(slog.NewTextHandler(&log, nil)), state: statefile.At(file), out: outbound.New(outbound.Options{Now: time.Now}), follower: &outbound.Follower{}}
	s.write()
	s.write()
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	s.write()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	s.write()
	if _, err := os.Stat(file); err == nil {
		t.Error("written again")
	}
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Errorf("%d lines, want a begin and an end:\n%s", n, &log)
	}
}
