package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tlsratchet/internal/ratchet"
	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
)

// TestBreaker: what many pinned peers in clear at once lead to.
func TestBreaker(t *testing.T) {
	t.Run("our own certificate is gone", certificateGone)
	t.Run("somebody strips close to us", strippedCloseToUs)
}

const crowd = 30

// certificateGone: at most ten are refused, then the breaker holds; one
// critical message says why, and none at a restart in the middle of it; after
// the repair it is armed again in quiet.
func certificateGone(t *testing.T) {
	w, hook := world{T: t, Instance: newPostfix(t, posttest.Options{})}, newReceiver(t)
	config := breakerConfig(hook, w.Addr(0))
	d := serve(t, w.MilterSocket(), w.crowdHistory(), config)
	w.wants("before", w.mails(w.Addr(0), 3), "250 250 250")
	d.wait("msg=self-check") // the certificate ends soon: a first look

	repair := w.loseCertificate()
	w.outage(w.mails(w.Addr(0), crowd))
	eventually(t, "two notices", func() bool { return hook.notices() == "critical own-starttls open, warning breaker open" })
	w.has(hook.notice("own-starttls open"), "offers STARTTLS, but it fails")
	w.has(hook.notice("breaker open"), "STARTTLS of this server seems broken; enforcement is suspended")
	w.has(hook.notice("breaker open"), "Self-check: the TLS handshake fails")
	if s := w.breaker(d); s.Answer != ratchet.Suspended || s.BrokenTo.IsZero() {
		t.Errorf("the breaker is %+v", s)
	}
	d.stop(syscall.SIGTERM)
	d = serve(t, w.MilterSocket(), d.history, config)
	d.wait("msg=self-check")
	w.wants("after a restart", w.mails(w.Addr(0), crowd), strings.Repeat("250 ", crowd))

	repair()
	notices := "critical own-starttls open, warning breaker open, critical own-starttls closed"
	eventually(t, "the self-check reports the repair", func() bool { return hook.notices() == notices })
	w.wants("after it", w.mails(w.Addr(0), crowd), strings.Repeat("250 ", crowd))
	d.stop(syscall.SIGTERM)
	quietly(t, d.history)
	again := serve(t, w.MilterSocket(), d.history, config)
	eventually(t, "it is armed again, and says so", func() bool {
		return w.breaker(again).Answer == ratchet.Armed && hook.notices() == notices+", warning breaker closed"
	})
}

// outage wants at most ten refused, those that came while the self-check looked
// delayed, and then nothing done.
func (w world) outage(codes string) {
	w.Helper()
	refused, delayed := strings.Count(codes, "550"), strings.Count(codes, "451")
	want := strings.Repeat("550 ", refused) + strings.Repeat("451 ", delayed) + strings.Repeat("250 ", crowd-refused-delayed)
	if refused > 10 || delayed > 10 || refused+delayed == crowd {
		w.Errorf("%d refused, %d delayed: %s", refused, delayed, codes)
	}
	w.wants("during it", codes, want)
}

// strippedCloseToUs: STARTTLS works, and somebody deletes its offer on the way.
// At most ten are refused for good, the others for now, and none is let in while
// the self-check looks.
func strippedCloseToUs(t *testing.T) {
	w, hook := world{T: t, Instance: newPostfix(t, posttest.Options{})}, newReceiver(t)
	d := serve(t, w.MilterSocket(), w.crowdHistory(), breakerConfig(hook, w.Addr(0)))
	strip, err := posttest.NewStrip("127.0.0.1", w.Addr(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { strip.Close() })
	w.wants("before", w.mails(strip.Addr(), 3), "250 250 250")
	d.wait("msg=self-check")

	strip.Set(true)
	w.wants("at once, before the self-check can look", w.mails(strip.Addr(), crowd), strings.Repeat("550 ", 10)+strings.Repeat("451 ", crowd-10))
	eventually(t, "a notice", func() bool { return hook.notices() == "critical breaker open" })
	w.has(hook.notice("breaker open"), "somebody may strip STARTTLS near this server")
	if s := w.breaker(d); s.Answer != ratchet.Softened {
		t.Errorf("the breaker is %+v", s)
	}
}

func (w world) wants(when, got, want string) {
	w.Helper()
	if want = strings.TrimSpace(want); got != want {
		w.Errorf("%s: %s, want %s", when, got, want)
	}
}

// quietly makes what the breaker's file has two minutes older.
func quietly(t *testing.T, history string) {
	t.Helper()
	file := filepath.Join(filepath.Dir(history), "breaker.json")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s ratchet.BreakerState
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]ratchet.BreakerName{s.Recent, s.Silent, s.Delayed} {
		for i := range list {
			list[i].At = list[i].At.Add(-2 * time.Minute)
		}
	}
	if b, err = json.Marshal(s); err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func breakerConfig(hook *receiver, mx string) string {
	return fmt.Sprintf(`
[policy]
stripped = "reject"
[breaker]
window_seconds = 60
[selfcheck]
address = %q
every_seconds = 10
[status]
listen = "off"
[[destination]]
kind = "webhook"
least = "warning"
url = %q
`, mx, hook.url)
}

// crowdHistory is a memory in which every peer of the crowd has used TLS for
// two weeks, so that its pin is more than a week old.
func (w world) crowdHistory() string {
	ids := []string{listener(w.Addr(0))}
	for i := range crowd {
		ids = append(ids, fmt.Sprintf("address:203.0.%d.10", i), fmt.Sprintf("domain:bank%d.example", i))
	}
	return taught(w.T, tlsstate.TLS13, 14, ids...)
}

// mails has that many peers of the crowd send one mail each, encrypted where
// they can, as real ones do, and returns the codes of the last replies.
func (w world) mails(server string, n int) string {
	w.Helper()
	var codes []string
	for i := range n {
		p := posttest.Peer{
			Server: server, TLS: w.tls13(), Opportunistic: true,
			XCLIENT: []string{fmt.Sprintf("NAME=mx1.bank%d.example", i), fmt.Sprintf("ADDR=203.0.%d.10", i)},
		}
		c, err := p.Connect(limit(w.T))
		if err != nil { // the handshake
			p.TLS = nil
			c = w.connect(p)
		}
		exchanges := w.say(c, mail(fmt.Sprint("of the crowd ", i)))
		codes = append(codes, fmt.Sprint(exchanges[len(exchanges)-1].Reply.Code))
		if err := c.Quit(); err != nil {
			w.Fatal(err)
		}
	}
	return strings.Join(codes, " ")
}

// loseCertificate leaves Postfix without a certificate until repair.
func (w world) loseCertificate() (repair func()) {
	w.Helper()
	file := filepath.Join(w.Dir(), "etc/tls/server.pem")
	reload := func() {
		w.Helper()
		if err := w.Reload(limit(w.T)); err != nil {
			w.Fatal(err)
		}
	}
	if err := os.Rename(file, file+".gone"); err != nil {
		w.Fatal(err)
	}
	reload()
	p := posttest.Peer{Server: w.Addr(0), TLS: w.tls13()}
	eventually(w.T, "no handshake succeeds", func() bool {
		c, err := p.Connect(limit(w.T))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	return func() {
		w.Helper()
		if err := os.Rename(file+".gone", file); err != nil {
			w.Fatal(err)
		}
		reload()
	}
}

// breaker is what the command shows.
func (w world) breaker(d *daemon) (s ratchet.BreakerState) {
	w.Helper()
	out, err := exec.Command(binary, "breaker", "--json", "--history", d.history).Output()
	if err == nil {
		err = json.Unmarshal(out, &s)
	}
	if err != nil {
		w.Fatalf("tlsratchet breaker: %v: %s", err, out)
	}
	return s
}

// notice is a message of no incident.
type notice struct{ Key, Status, Severity, What, Title, Text string }

func (r *receiver) allNotices() (all []notice) {
	for _, b := range r.all() {
		var n notice
		// The certificate of the test ends within days, always.
		if json.Unmarshal(b, &n) == nil && n.What == "notice" && n.Key != "own-certificate" {
			all = append(all, n)
		}
	}
	return all
}

// notices are the notices in the order in which they came.
func (r *receiver) notices() string {
	var all []string
	for _, n := range r.allNotices() {
		all = append(all, n.Severity+" "+n.Key+" "+n.Status)
	}
	return strings.Join(all, ", ")
}

// notice returns the words of the first one with that key and status.
func (r *receiver) notice(which string) string {
	for _, n := range r.allNotices() {
		if n.Key+" "+n.Status == which {
			return n.Title + "\n" + n.Text
		}
	}
	return ""
}
