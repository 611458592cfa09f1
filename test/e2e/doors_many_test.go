package e2e

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"tlsratchet/internal/doctor"
	"tlsratchet/test/posttest"
)

var clients = flag.Int("clients", 48, "SMTP sessions at once in TestPolicyManyProcesses; 1,024 need 2 GB and some minutes")

// TestPolicyManyProcesses has as many smtpd(8) processes as there are sessions, and
// each keeps a connection of its own to the policy service: each recipient
// is answered, of the first message and of the second.
func TestPolicyManyProcesses(t *testing.T) {
	in := newPostfix(t, posttest.Options{Parts: []string{"main.cf.tls", "main.cf.policy"}, Main: []string{
		fmt.Sprintf("default_process_limit = %d", *clients+50),
		"smtpd_timeout = 1h", "smtpd_policy_service_max_idle = 1h", "smtpd_policy_service_max_ttl = 1h", // a slow machine needs minutes
	}})
	w := world{T: t, Instance: in, policy: true}
	d := w.serve("", "", "--pin-after-days", "1")
	open := make([]*posttest.Client, *clients)
	each := func(do func(i int) error) {
		t.Helper()
		var g errgroup.Group
		g.SetLimit(8)
		for i := range open {
			g.Go(func() error { return do(i) })
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute) // a new process for each
	defer cancel()
	ask := func(i int) error {
		for _, line := range []string{"MAIL FROM:<alice@bank.example>", "RCPT TO:<bob@ours.example>", "RSET"} {
			if r, err := open[i].Cmd(line); err != nil || !r.OK() {
				return fmt.Errorf("session %d: %s: %s, %w", i, line, r, err)
			}
		}
		return nil
	}
	each(func(i int) (err error) {
		open[i], err = w.bank(fmt.Sprintf("198.51.%d.%d", 100+i/250, 1+i%250), nil).Connect(ctx)
		if err == nil {
			err = ask(i)
		}
		return err
	})
	each(ask)
	if got := connected(t, w.policySocket()); got != *clients {
		t.Errorf("%d connections to the policy service, want %d", got, *clients)
	}
	if text := d.text(); strings.Contains(text, "policy connection") {
		t.Error(text)
	}
	each(func(i int) error { return open[i].Quit() })
}

// connected counts the connections that a server has at a unix socket.
func connected(t *testing.T, socket string) (n int) {
	t.Helper()
	text, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		const established = "03"
		if f := strings.Fields(line); len(f) == 8 && f[5] == established && f[7] == socket {
			n++
		}
	}
	return n
}

// TestPolicyDoctor pastes what doctor prints for a Postfix that asks nobody, until
// it has nothing more to say, and then sends mail through that Postfix.
func TestPolicyDoctor(t *testing.T) {
	w := world{T: t, Instance: newPostfix(t, posttest.Options{Chroot: true, Parts: []string{"main.cf.tls"}}), policy: true}
	config := filepath.Join(t.TempDir(), "tlsratchet.toml")
	text := fmt.Sprintf("listen = [%q]\nhistory = %q\nspf = \"off\"\nheader = \"all\"\npolicy.pin_after_days = 1\npolicy_service.listen = [%q]\n",
		"unix:"+w.MilterSocket(), filepath.Join(t.TempDir(), "history.db"), "unix:"+w.policySocket())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	launch(t, exec.Command(binary, "serve", "--config", config))
	etc := w.onPort25()
	const check = "policy service"
	var pasted []string
	found := examine(t, etc, config)
	for found[check].Severity != doctor.Fine && len(pasted) < 5 {
		mend(t, etc, found[check].Fix)
		pasted = append(pasted, found[check].Text)
		found = examine(t, etc, config)
	}
	if len(pasted) != 2 || found[check].Severity != doctor.Fine {
		t.Errorf("after %q: %+v", pasted, found)
	}
	for _, f := range found {
		if f.Severity == doctor.Broken {
			t.Errorf("%+v", f)
		}
	}
	for _, list := range []string{"smtpd_recipient_restrictions", "smtpd_end_of_data_restrictions"} {
		out, err := exec.Command("postconf", "-c", etc, list).Output()
		if err != nil {
			t.Fatal(err)
		}
		postconf(t, filepath.Join(w.Dir(), "etc"), strings.TrimSpace(string(out)))
	}
	if err := w.Reload(limit(t)); err != nil {
		t.Fatal(err)
	}
	comes := func(want string, config *tls.Config) { // a process from before the reload may take mail once more
		for n, got := 0, ""; !strings.Contains(got, want); n++ {
			if got = w.delivered(w.bank("192.0.2.63", config), mail(fmt.Sprintf("%s %d", want, n))); n > 50 {
				t.Fatalf("%q, want %q", got, want)
			}
		}
	}
	comes("new; ", w.tls13())
	comes("kind=stripped", plain())
}
