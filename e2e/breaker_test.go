package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tlsratchet/internal/posttest"
	"tlsratchet/ratchet"
	"tlsratchet/tlsstate"
)

// TestBreaker: what many pinned peers in clear at once lead to.
func TestBreaker(t *testing.T) {
	t.Run("our own certificate is gone", certificateGone)
	t.Run("somebody strips close to us", strippedCloseToUs)
}

const crowd = 30

// certificateGone: at most ten are refused, then the breaker holds; the
// self-check and the breaker say why, once each; it survives a restart, and is
// armed again in quiet after the repair.
func certificateGone(t *testing.T) {
	w, hook := world{t, newPostfix(t, posttest.Options{})}, newReceiver(t)
	config := breakerConfig(hook, w.Addr(0), "off")
	d := serve(t, w.MilterSocket(), w.crowdHistory(), config)
	w.wants("before", w.mails(w.Addr(0), 3), "250 250 250")
	d.wait("msg=self-check") // the certificate ends soon: a first look

	repair := w.loseCertificate()
	w.wants("during it", w.mails(w.Addr(0), crowd), strings.Repeat("550 ", 10)+strings.Repeat("250 ", crowd-10))
	eventually(t, "two notices", func() bool { return len(hook.notices()) == 2 })
	w.has(hook.notices()["own-starttls open"], "offers STARTTLS, but it fails")
	w.has(hook.notices()["breaker open"], "our own STARTTLS seems broken: enforcement is suspended")
	w.has(hook.notices()["breaker open"], "The self-check says: the TLS handshake fails")
	if s := w.breaker(d); s.Answer != ratchet.Suspended || s.BrokenTo.IsZero() {
		t.Errorf("the breaker is %+v", s)
	}

	repair()
	eventually(t, "the self-check tells of the repair", func() bool { return hook.notices()["own-starttls closed"] != "" })
	w.wants("after it", w.mails(w.Addr(0), crowd), strings.Repeat("250 ", crowd))
	d.stop(syscall.SIGTERM)
	quietly(t, d.history)
	again := serve(t, w.MilterSocket(), d.history, config)
	if n := len(hook.notices()); n != 3 {
		t.Errorf("%d notices: %v", n, hook.notices())
	}
	if s := w.breaker(again); s.Answer != ratchet.Armed {
		t.Errorf("the breaker is %+v", s)
	}
	eventually(t, "it tells that it is armed", func() bool { return hook.notices()["breaker closed"] != "" })
}

// strippedCloseToUs: STARTTLS works, and somebody deletes its offer on the way.
// At most ten are refused for good, the others for now.
func strippedCloseToUs(t *testing.T) {
	w, hook := world{t, newPostfix(t, posttest.Options{})}, newReceiver(t)
	status := freeAddr(t)
	d := serve(t, w.MilterSocket(), w.crowdHistory(), breakerConfig(hook, w.Addr(0), status))
	strip, err := posttest.NewStrip("127.0.0.1", w.Addr(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { strip.Close() })
	w.wants("before", w.mails(strip.Addr(), 3), "250 250 250")
	d.wait("msg=self-check")

	strip.Set(true)
	w.wants("the first", w.mails(strip.Addr(), 1), "550")
	began := float64(w.breaker(d).Began.UnixMicro()) / 1e6
	eventually(t, "the self-check looked after that", func() bool { return scraped(t, status, "tlsratchet_selfcheck_timestamp_seconds") >= began })
	w.wants("the others", w.mails(strip.Addr(), crowd), strings.Repeat("550 ", 10)+strings.Repeat("451 ", crowd-10))
	eventually(t, "a notice", func() bool { return len(hook.notices()) == 1 })
	w.has(hook.notices()["breaker open"], "somebody may strip it close to us")
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

// quietly makes what the breaker's file tells two minutes older.
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

func breakerConfig(hook *receiver, mx, status string) string {
	return fmt.Sprintf(`
[policy]
stripped = "reject"
[breaker]
window_seconds = 60
[selfcheck]
address = %q
every_seconds = 10
[status]
listen = %q
[[destination]]
kind = "webhook"
least = "critical"
url = %q
`, mx, status, hook.url)
}

// crowdHistory is a memory in which every peer of the crowd has used TLS for
// two weeks, so that its pin is more than a week old.
func (w world) crowdHistory() string {
	ids := []string{"listener:" + w.Addr(0)}
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
		said := w.say(c, mail(fmt.Sprint("of the crowd ", i)))
		codes = append(codes, fmt.Sprint(said[len(said)-1].Reply.Code))
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
		if out, err := exec.Command("postfix", "-c", filepath.Join(w.Dir(), "etc"), "reload").CombinedOutput(); err != nil {
			w.Fatalf("postfix reload: %v: %s", err, out)
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

// notices are the messages of no incident, by key and status. One that came
// twice has a key of its own.
func (r *receiver) notices() map[string]string {
	all := map[string]string{}
	for _, b := range r.all() {
		var n struct{ Key, Status, What, Title, Text string }
		if json.Unmarshal(b, &n) != nil || n.What != "notice" {
			continue
		}
		key := n.Key + " " + n.Status
		for all[key] != "" {
			key += " again"
		}
		all[key] = n.Title + "\n" + n.Text
	}
	return all
}

// scraped returns a metric without labels, 0 if it isn't there.
func scraped(t *testing.T, status, name string) (value float64) {
	t.Helper()
	resp, err := http.Get("http://" + status + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			if value, err = strconv.ParseFloat(strings.TrimSpace(text), 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	return value
}
