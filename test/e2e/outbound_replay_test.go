package e2e

import (
	"crypto/tls"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
)

// TestOutboundReplayAgrees: the daemon learns from the log as it is written, and a
// replay of that log learns the same of each destination and each MX host.
func TestOutboundReplayAgrees(t *testing.T) {
	s := newOutbox(t, map[string][]string{
		"tls13.test": {"mx.tls13.test"}, "tls12.test": {"mx.tls12.test"}, "plain.test": {"mx.plain.test"},
		"refuses.test": {"mx.refuses.test"}, "two.test": {"mx1.two.test", "mx2.two.test"},
	})
	s.sinks["mx.tls12.test"].Set(posttest.Behaviour{Max: tls.VersionTLS12})
	s.sinks["mx.plain.test"].Set(posttest.Behaviour{NoOffer: true})
	s.sinks["mx.refuses.test"].Set(posttest.Behaviour{Refuse: true})
	s.sinks["mx1.two.test"].Set(posttest.Behaviour{RefuseMail: true})
	d := serve(t, s.in.MilterSocket(), "", s.config(""))
	for _, domain := range []string{"tls13.test", "tls12.test", "plain.test", "refuses.test", "two.test"} {
		s.send("ann@"+domain, "bob@"+domain)
		s.arrives("ann@" + domain)
		s.line("to=<bob@" + domain + ">.* status=sent")
		if domain == "tls13.test" {
			aSecondLater() // than the begin of the log
		}
	}
	d.stop(syscall.SIGTERM) // it reads the log to its end
	live := everything(t, d.history)

	file, log := filepath.Join(t.TempDir(), "replayed.db"), filepath.Join(t.TempDir(), "mail.log")
	lines, err := s.in.Log().Lines()
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range lines {
		if strings.Contains(line, "postfix/smtp[") { // what goes to loopback is no destination to a replay
			lines[i] = strings.ReplaceAll(line, "[127.", "[203.")
		}
	}
	write(t, log, strings.Join(lines, "\n")+"\n")
	if out, err := exec.Command(binary, "replay", "--apply", "--history", file, log).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if diff := cmp.Diff(live, everything(t, file)); diff != "" {
		t.Errorf("- live, + replayed:\n%s", diff)
	}
	for id, level := range map[string]tlsstate.Level{
		"destination:tls13.test": tlsstate.TLS13, "destination:tls12.test": tlsstate.TLS12, "destination:plain.test": tlsstate.Plaintext,
		"destination:refuses.test": tlsstate.Plaintext, "destination:two.test": tlsstate.TLS13, "mx:mx2.two.test": tlsstate.TLS13,
	} {
		if live[id].Seen[level]&1 == 0 {
			t.Errorf("%s was not learned at %s: %+v", id, level, live[id])
		}
	}
}
