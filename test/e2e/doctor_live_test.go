package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
)

// TestDoctorMendsPostfix gives a running Postfix one fault after another, sees that it
// has it, pastes what doctor prints, and sees that it has it no more.
func TestDoctorMendsPostfix(t *testing.T) {
	w := world{T: t, Instance: newPostfix(t, posttest.Options{Chroot: true, Main: []string{"smtpd_client_event_limit_exceptions ="}})}
	config := filepath.Join(t.TempDir(), "tlsratchet.toml")
	text := fmt.Sprintf("listen = [%q]\nhistory = \"memory\"\nspf = \"off\"\nheader = \"all\"\nselfcheck.address = \"off\"\nstatus.listen = \"off\"\n", "unix:"+w.MilterSocket())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d := launch(t, exec.Command(binary, "serve", "--config", config))
	for _, tt := range []struct {
		name, main, options string // the fault, in main.cf and in master.cf
		probe               func(world) string
		faulty, want        string
		before              func()
	}{
		{"a milter that is not asked", "smtpd_milters =", "", judged, "not judged", "judged", nil},
		{"a socket out of the chroot's sight", "smtpd_milters = { unix:" + w.MilterSocket() + ", default_action=accept }", "", judged, "not judged", "judged", nil},
		{"another list in master.cf", "", "smtpd_milters=inet:127.0.0.1:9,{unix:nowhere,default_action=accept} milter_default_action=accept", judged, "not judged", "judged", nil},
		{"no STARTTLS", "smtpd_tls_security_level = none", "", offered, "not offered", "offered", nil},
		{"no STARTTLS by master.cf", "", "smtpd_tls_security_level=none", offered, "not offered", "offered", nil},
		{"no STARTTLS by a parameter of one's own", "level = may\nsmtpd_tls_security_level = $level", "level=none", offered, "not offered", "offered", nil},
		{"no certificate", "smtpd_tls_chain_files =", "", offered, "454", "offered", nil},
		{"TLS from the first byte", "", "smtpd_tls_wrappermode=yes", offered, "no greeting", "offered", nil},
		{"STARTTLS is removed", "smtpd_discard_ehlo_keywords = StartTLS, dsn", "", offered, "not offered", "offered", nil},
		{"STARTTLS of everybody", "smtpd_tls_security_level = encrypt", "", inClear, "530", "250", nil},
		{"a level that is none", "smtpd_tls_security_level = dane", "", offered, "no greeting", "offered", nil},
		{"a limit of handshakes", "smtpd_client_new_tls_session_rate_limit = 1\nsmtpd_authorized_xclient_hosts =", "", offered, "454", "offered", nil},
		{"a dead daemon", "smtpd_milters = unix:tlsratchet/tlsratchet.sock\nmilter_default_action = tempfail", "", inClear, "451", "250", func() { d.stop(syscall.SIGTERM) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := world{T: t, Instance: w.Instance}
			if tt.before != nil {
				tt.before()
			}
			sound := w.onPort25()
			defer w.install(sound)
			etc := w.onPort25()
			for line := range strings.Lines(tt.main) {
				postconf(t, etc, strings.TrimSpace(line))
			}
			for _, option := range strings.Fields(tt.options) {
				paste(t, etc, fmt.Sprintf("postconf -c %s -P '127.0.0.1:25/inet/%s'", etc, option))
			}
			w.install(etc)
			w.shows(tt.probe, tt.faulty)
			var fixes []string
			for range 3 { // one mended fault may uncover another
				for _, f := range doctorSays(t, etc, config) {
					if f.Fix != "" && strings.Contains(f.Fix, etc) && !slices.Contains(fixes, f.Fix) {
						fixes = append(fixes, f.Fix)
						paste(t, etc, f.Fix)
					}
				}
			}
			w.install(etc)
			w.shows(tt.probe, tt.want)
			if len(fixes) == 0 {
				t.Error("doctor prints no line")
			}
		})
	}
	lines, err := w.Log().Lines()
	if twice := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "overriding earlier entry") }); twice >= 0 || err != nil {
		t.Errorf("a process read two configurations as one, %v: %s", err, lines[max(twice, 0)])
	}
}

// install has the instance run with a configuration of [world.onPort25]. Its files come
// by a rename: a process that is still at the reload before, and reads on while one is
// written over, warns of each entry that changed. The postlogd of Postfix 3.5 then waits
// for itself for ever, once ten other lines wait for it.
func (w world) install(etc string) {
	w.Helper()
	for _, name := range []string{"main.cf", "master.cf"} {
		text, err := os.ReadFile(filepath.Join(etc, name))
		if err == nil {
			text = []byte(strings.ReplaceAll(string(text), "127.0.0.1:25 ", w.Addr(0)+" "))
			next := filepath.Join(etc, name+".next")
			err = errors.Join(os.WriteFile(next, text, 0o644), os.Rename(next, filepath.Join(w.Dir(), "etc", name)))
		}
		if err != nil {
			w.Fatal(err)
		}
	}
	settle(w.T, filepath.Join(w.Dir(), "etc"))
	if err := w.Reload(limit(w.T)); err != nil {
		w.Fatal(err)
	}
}

// shows waits until a probe comes to a word: processes from before a reload may serve
// once more.
func (w world) shows(probe func(world) string, want string) {
	w.Helper()
	got := ""
	if !within(func() bool { got = probe(w); return got == want }) {
		lines, _ := w.Log().Lines()
		w.Fatalf("%s, want %s; the log ends:\n%s", got, want, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
}

// judged reports whether a message was.
func judged(w world) string {
	c, err := w.bank("192.0.2.91", w.tls13()).Connect(limit(w.T))
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	m := mail(fmt.Sprintf("judged at %d", time.Now().UnixNano()))
	if replies, err := c.Send(m); err != nil || !replies[len(replies)-1].Reply.OK() {
		return fmt.Sprint(replies, err)
	}
	if w.header(m) == "" {
		return "not judged"
	}
	return "judged"
}

// inClear returns the code of the reply to a recipient in a session in clear.
func inClear(w world) string {
	c, err := posttest.Peer{Server: w.Addr(0)}.Connect(limit(w.T))
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	r, err := c.Mail("alice@bank.example")
	if err == nil && r.OK() {
		r, err = c.Rcpt("bob@ours.example")
	}
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(r.Code)
}

// offered reports whether STARTTLS is offered, and works twice.
func offered(w world) string {
	ctx, cancel := context.WithTimeout(w.Context(), 5*time.Second)
	defer cancel()
	for range 2 {
		c, err := posttest.Peer{Server: w.Addr(0)}.Connect(ctx)
		if err != nil {
			return "no greeting"
		}
		defer c.Close()
		if _, ok := c.Offers("STARTTLS"); !ok {
			return "not offered"
		}
		if r, err := c.StartTLS(ctx, &tls.Config{InsecureSkipVerify: true}); err != nil || !r.OK() {
			return fmt.Sprint(r.Code)
		}
	}
	return "offered"
}

// paste runs a line in a shell.
func paste(t *testing.T, etc, line string) {
	t.Helper()
	if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	settle(t, etc)
}

// TestDoctorMendsSending does so with a Postfix that sends: mail for a destination that
// has lost STARTTLS is to be held, and all other mail to go.
func TestDoctorMendsSending(t *testing.T) {
	faults := []struct {
		name   string
		spoil  func(etc string) // from the configuration of contrib/postfix
		faulty string
		fixes  int
	}{
		{"nothing asks", func(etc string) { postconf(t, etc, "smtp_tls_policy_maps =") }, "in clear", 1},
		{"nothing asks, and there is no file", func(etc string) {
			postconf(t, etc, "smtp_tls_policy_maps = inline:{never.invalid=encrypt}")
			os.Remove(filepath.Join(etc, "tlsratchet-policy.cf"))
		}, "in clear", 1},
		{"the service has tables of its own", func(etc string) {
			paste(t, etc, "postconf -c "+etc+" -P smtp/unix/smtp_tls_policy_maps=inline:{never.invalid=encrypt}")
		}, "in clear", 1},
		{"no file", func(etc string) { os.Remove(filepath.Join(etc, "tlsratchet-policy.cf")) }, "deferred", 1},
		{"a path out of the chroot's sight", func(etc string) {
			paste(t, etc, "sed -i 's|unix:|unix:"+filepath.Dir(etc)+"/spool/|' "+etc+"/tlsratchet-policy.cf")
		}, "in clear", 1},
		{"no backup", func(etc string) { paste(t, etc, "sed -i /^backup/d "+etc+"/tlsratchet-policy.cf") }, "deferred", 1},
	}
	mx, ids := map[string][]string{}, []string{}
	for i := range faults {
		domain := fmt.Sprintf("bank%d.test", i)
		mx[domain], ids = []string{"mx." + domain}, append(ids, "destination:"+domain)
	}
	s := newOutbox(t, mx)
	for _, sink := range s.sinks {
		sink.Set(posttest.Behaviour{NoOffer: true})
	}
	config := filepath.Join(t.TempDir(), "tlsratchet.toml")
	text := fmt.Sprintf("history = %q\nlisten = [%q]\n%s", taught(t, tlsstate.TLS12, 30, ids...), "unix:"+s.in.MilterSocket(), s.config(hold))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d := launch(t, exec.Command(binary, "serve", "--config", config))
	etc := filepath.Join(s.in.Dir(), "etc")
	for i, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			sound := filepath.Join(t.TempDir(), "etc")
			if err := os.CopyFS(sound, os.DirFS(etc)); err != nil {
				t.Fatal(err)
			}
			defer paste(t, etc, "cp "+sound+"/*.cf "+etc)
			domain, want := fmt.Sprintf("bank%d.test", i), "held"
			if tt.name == "no backup" { // which only shows without a daemon
				d.stop(syscall.SIGTERM)
				want = "in clear"
			}
			tt.spoil(etc)
			s.refresh()
			s.comesTo(tt.faulty, "before", domain)
			n := 0
			for _, f := range doctorSays(t, etc, config) {
				if f.Check == "sending" && f.Fix != "" {
					n++
					paste(t, etc, f.Fix)
				}
			}
			s.refresh()
			if s.comesTo(want, "after", domain); n != tt.fixes {
				t.Errorf("%d lines, want %d", n, tt.fixes)
			}
		})
	}
}

// comesTo sends messages until that becomes of one: a process from before a reload may
// send once more.
func (s *outbox) comesTo(want, local, domain string) {
	s.t.Helper()
	got := ""
	for n := 0; got != want; n++ {
		if got = s.outcome(fmt.Sprintf("%s%d@%s", local, n, domain)); n > 50 {
			s.t.Fatalf("%s: %s, want %s", local, got, want)
		}
	}
}

// outcome sends a message and returns what became of it at first.
func (s *outbox) outcome(to string) string {
	s.t.Helper()
	s.send(to)
	line := s.line("to=<" + to + ">.* status=")
	switch {
	case strings.Contains(line, "TLS is required, but was not offered"):
		return "held"
	case strings.Contains(line, "status=sent"):
		return "in clear"
	}
	return "deferred"
}
