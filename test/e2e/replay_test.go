package e2e

import (
	"bytes"
	"crypto/tls"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
)

// The daemon learns from a Postfix, and a replay of that Postfix's log learns
// the same.
func TestReplayAgrees(t *testing.T) {
	w := world{T: t, Instance: newPostfix(t, posttest.Options{
		Parts:     []string{"main.cf.tls", "main.cf.tlsratchet", "main.cf.client-certs"},
		Listeners: []posttest.Listener{{}, {Options: []string{"syslog_name=postfix-in", "smtpd_tls_security_level=none"}}, {Options: []string{"syslog_name=postfix/submission", "smtpd_sasl_auth_enable=yes"}}},
		Users:     map[string]string{"alice": "secret"},
	})}
	d := serve(t, w.MilterSocket(), "", "", "--pin-after-days", "1")
	converse(w)
	d.stop(syscall.SIGTERM)
	live := everything(t, d.history)
	replayed := replayed(w, "--pin-after-days", "1")
	if diff := cmp.Diff(live, replayed); diff != "" {
		lines, _ := w.Log().Lines()
		t.Errorf("- live, + replayed:\n%s\n%s", diff, strings.Join(lines, "\n"))
	}
	if len(live) < 8 {
		t.Errorf("only %d histories", len(live))
	}
}

// lastLine is how the last session of converse, and of daysOfLog, ends.
var lastLine = regexp.MustCompile(`disconnect from mx1\.bank\.example\[192\.0\.2\.1[06]\] .* mail=[12] .*quit=1`)

// converse is mail of all kinds.
func converse(w world) {
	for n, config := range []*tls.Config{w.tls13(), w.tls12(), nil} {
		w.delivered(w.bank("192.0.2.10", config), mail("same peer "+string(rune('a'+n))))
	}
	w.delivered(w.bank("192.0.2.11", nil), mail("in clear"))
	p := w.bank("192.0.2.12", w.tls13())
	p.XCLIENT[0] = "NAME=[UNAVAILABLE]"
	w.delivered(p, mail("unconfirmed"))
	p.XCLIENT = []string{"NAME=mx6.other.example", "ADDR=IPV6:2001:db8:1:2::25"}
	w.delivered(p, mail("v6"))
	p = w.bank("192.0.2.13", nil)
	p.Server = w.Addr(1)
	w.send(p, mail("no STARTTLS there"))
	p = w.bank("192.0.2.14", w.tls13())
	p.Server, p.User, p.Password = w.Addr(2), "alice", "secret"
	w.send(p, mail("logged in"))
	cert, err := w.CA().Issue("partner.example")
	if err != nil {
		w.Fatal(err)
	}
	trusted := w.tls13()
	trusted.Certificates = []tls.Certificate{cert}
	w.delivered(w.bank("192.0.2.15", trusted), mail("with a certificate"))
	c := w.connect(w.bank("192.0.2.16", w.tls12()))
	w.say(c, mail("one of two"))
	w.say(c, mail("two of two"))
	m := mail("relay denied")
	m.To = []string{"somebody@elsewhere.example"}
	w.send(w.bank("192.0.2.17", w.tls13()), m)
	if err := c.Quit(); err != nil {
		w.Fatal(err)
	}
	_, err = w.Log().Wait(limit(w.T), lastLine)
	if err != nil {
		w.Fatal(err)
	}
}

// everything is all that a history file holds, without listeners, which the log
// names otherwise, and without the names of certificates, which it doesn't hold.
func everything(t *testing.T, file string) map[string]tlsstate.History {
	t.Helper()
	s := openMemory(t, file)
	defer s.Close()
	all := make(map[string]tlsstate.History)
	seq, failed := s.All(tlsstate.Identity{})
	for id, h := range seq {
		if id.Kind != tlsstate.Listener {
			h.Cert = tlsstate.Certificate{}
			all[id.String()] = h
		}
	}
	if err := failed(); err != nil {
		t.Fatal(err)
	}
	return all
}

// replayed is what tlsratchet replay --apply makes of the instance's log.
func replayed(w world, flags ...string) map[string]tlsstate.History {
	w.Helper()
	file := filepath.Join(w.TempDir(), "history.db")
	args := append([]string{"replay", "--apply", "--history", file}, flags...)
	out, err := exec.Command(binary, append(args, filepath.Join(w.Dir(), "maillog"))...).CombinedOutput()
	if err != nil {
		w.Fatalf("%v\n%s", err, out)
	}
	return everything(w.T, file)
}

// Five days of a real log are replayed. Then one live session in clear is a
// downgrade, with the log's evidence; unpinned, it is none, and the old log
// doesn't bring the pin back.
func TestReplayThenLive(t *testing.T) {
	w := world{T: t, Instance: newPostfix(t, posttest.Options{})}
	history := filepath.Join(t.TempDir(), "history.db")
	logs := daysOfLog(w)
	apply := func() string {
		t.Helper()
		args := append([]string{"replay", "--apply", "--history", history, "--listener", port(w.Addr(0))}, logs...)
		out, err := exec.Command(binary, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	w.has(apply(), "addresses                     1             1")
	d := serve(t, w.MilterSocket(), history, "")
	in := tlsstate.DayOf(time.Now()) - 1
	w.has(w.delivered(w.bank("192.0.2.10", nil), mail("stripped")), "downgrade; kind=stripped; identity=address:192.0.2.10; pin=TLSv1.2; seen=none; since="+in.String()+"; days=5/64")
	w.has(d.wait("msg=downgrade"), "it used TLSv1.2 or better on 5 of the last 64 days, last on "+in.String())

	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(binary, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	run("peer", "unpin", "--history", history, "--why", "test", "192.0.2.10")
	run("peer", "unpin", "--history", history, "--why", "test", "bank.example")
	if got := w.delivered(w.bank("192.0.2.10", nil), mail("let go")); got != "" {
		t.Errorf("after unpin: %s", got)
	}
	w.has(apply(), "0 of them changed the memory")
	if got := w.delivered(w.bank("192.0.2.10", nil), mail("still let go")); got != "" {
		t.Errorf("after the old log once more: %s", got)
	}
}

// daysOfLog has Postfix log a session over TLS, and dates copies of the log on
// the five days before today.
func daysOfLog(w world) (files []string) {
	w.delivered(w.bank("192.0.2.10", w.tls13()), mail("for the log"))
	if _, err := w.Log().Wait(limit(w.T), lastLine); err != nil {
		w.Fatal(err)
	}
	lines, err := w.Log().Lines()
	if err != nil {
		w.Fatal(err)
	}
	dir := w.TempDir()
	for ago := 1; ago <= 5; ago++ {
		day := time.Now().UTC().AddDate(0, 0, -ago)
		var b bytes.Buffer
		for _, line := range lines {
			b.WriteString(day.Format("2006-01-02") + "T12:00:00Z" + line[len(time.Stamp):] + "\n")
		}
		file := filepath.Join(dir, "mail.log."+string(rune('0'+ago)))
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			w.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}
