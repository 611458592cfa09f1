package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestOutboundLogrotate: "postfix logrotate" under load. No delivery is missed or
// counted twice, against the receiver's count. The other kinds of rotation are in
// TestRotationUnderLoad of internal/outbound.
func TestOutboundLogrotate(t *testing.T) {
	s := newOutbox(t, map[string][]string{"bank.test": {"mx.bank.test"}})
	d := serve(t, s.in.MilterSocket(), "", s.config(""))
	aSecondLater()
	wait := s.load(90)
	for range 2 {
		time.Sleep(600 * time.Millisecond)
		eventually(t, "Postfix has a log to rotate", func() bool {
			info, err := os.Stat(s.in.Maillog())
			return err == nil && info.Size() > 0
		})
		if err := s.in.Logrotate(limit(t)); err != nil {
			t.Error(err)
		}
	}
	wait()
	s.counted(d)
}

// TestOutboundJournal: the journal under load. Where this runs there is none: what
// Postfix logs is streamed as journalctl would do it (see playJournal), and
// journalctl ends two times meanwhile. The journal itself, rotated under load, is in
// test/systemd.
func TestOutboundJournal(t *testing.T) {
	s := newOutbox(t, map[string][]string{"bank.test": {"mx.bank.test"}})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "journalctl")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("E2E_MAILLOG", s.in.Maillog())
	config := strings.Replace(s.config(""), fmt.Sprintf("log = %q", s.in.Maillog()), "log = \"journal\"", 1)
	d := serve(t, s.in.MilterSocket(), "", config)
	aSecondLater()
	s.load(60)()
	s.counted(d)
	d.stop(syscall.SIGTERM)
	wait := s.load(60) // some of it while nobody reads
	d = serve(t, s.in.MilterSocket(), d.history, config)
	wait()
	s.counted(d)
	if ended := strings.Count(d.text(), "can't be read"); ended == 0 {
		t.Error("journalctl never ended meanwhile")
	}
}

// load sends so many messages, and returns what waits for that and for their
// arrival.
func (s *outbox) load(messages int) (wait func()) {
	s.t.Helper()
	sink := s.sinks["mx.bank.test"]
	want := len(sink.Received()) + messages
	var all sync.WaitGroup
	all.Go(func() {
		for n := range messages {
			if err := give(s.in, fmt.Sprintf("n%d@bank.test", n)); err != nil {
				s.t.Error(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	return func() {
		s.t.Helper()
		all.Wait()
		eventually(s.t, "all mail arrives", func() bool { return len(sink.Received()) == want })
	}
}

// counted waits until the daemon has counted what the receiver has, which went over
// TLS.
func (s *outbox) counted(d *daemon) {
	s.t.Helper()
	n := len(s.sinks["mx.bank.test"].Received())
	var out []byte
	if !within(func() bool {
		cmd := exec.Command(binary, "report", "--outbound")
		cmd.Env = append(os.Environ(), "TLSRATCHET_HISTORY="+d.history)
		out, _ = cmd.CombinedOutput()
		return strings.Contains(string(out), fmt.Sprintf("%d recipients on 1 days, 100.0 %% encrypted", n))
	}) {
		s.t.Errorf("the receiver has %d:\n%s", n, out)
	}
}
