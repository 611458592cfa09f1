package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/incident"
	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/statefile"
	"tlsratchet/test/apt"
	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
)

// TestAlerts: a stripped peer is reported once everywhere, to a real Alertmanager
// and through a real Postfix; ten more messages and a restart report nothing;
// the peer back on TLS closes it everywhere.
func TestAlerts(t *testing.T) {
	in := newPostfix(t, posttest.Options{})
	am := newAlertmanager(t)
	hook := newReceiver(t)
	site := &alerting{t: t, path: filepath.Join(t.TempDir(), "incidents.json"), settings: []alert.Settings{
		{Kind: alert.KindLog, Least: "warning"},
		{Kind: alert.KindWebhook, Least: "warning", URL: hook.url},
		{Kind: alert.KindAlertmanager, Least: "warning", URL: am.url},
		{Kind: alert.KindMail, Least: "warning", Server: in.Addr(0), To: []string{"bob@ours.example"}},
	}}
	site.start()
	site.take(tlsstate.Downgraded, tlsstate.Plaintext)
	eventually(t, "one alert", func() bool { return am.active(t) == 1 })
	site.wants(in, hook, "opened")

	for range 10 {
		site.take(tlsstate.Downgraded, tlsstate.Plaintext)
	}
	site.stop()
	site.start()
	site.take(tlsstate.Downgraded, tlsstate.Plaintext)
	site.stop()
	if am.active(t) != 1 {
		t.Errorf("Alertmanager has %d alerts", am.active(t))
	}
	site.wants(in, hook, "opened")

	site.start()
	site.take(tlsstate.Steady, tlsstate.TLS13)
	eventually(t, "it is resolved", func() bool { return am.active(t) == 0 })
	site.stop()
	site.wants(in, hook, "opened closed")
	am.received(t, "firing", "resolved")
}

// TestAlertTest is what tlsratchet alert test does.
func TestAlertTest(t *testing.T) {
	in := newPostfix(t, posttest.Options{})
	am := newAlertmanager(t)
	ds, err := alert.NewDestinations([]alert.Settings{
		{Kind: alert.KindAlertmanager, URL: am.url},
		{Kind: alert.KindMail, Server: in.Addr(0), To: []string{"bob@ours.example"}},
		{Kind: alert.KindMail, Server: in.Addr(0), To: []string{"bob@elsewhere.example"}},
	}, os.LookupEnv, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	results := alert.Test(limit(t), ds, "mail.ours.example")
	for i, want := range []string{"200 OK", "250 2.0.0 Ok: queued as ", ""} {
		if r := results[i]; !strings.HasPrefix(r.Answer, want) || (r.Err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", r.Destination, r.Answer, r.Err)
		}
	}
	m, err := in.WaitMail(limit(t), posttest.Subject("[info] test alert of tlsratchet"))
	if err != nil {
		t.Fatal(err)
	}
	if from := m.Header.Get("Return-Path"); from != "" && from != "<>" {
		t.Errorf("the envelope sender is %s", from)
	}
	eventually(t, "the test shows", func() bool { return am.active(t) == 1 })
}

// alerting is a book of incidents with alerts on it, as the daemon has them.
type alerting struct {
	t        *testing.T
	path     string
	settings []alert.Settings
	log      lockedLog
	alerts   *alert.Alerts
	book     *incident.Book
	state    alert.State // of the last stop
}

func (s *alerting) start() {
	s.t.Helper()
	ds, err := alert.NewDestinations(s.settings, os.LookupEnv, slog.New(slog.NewTextHandler(&s.log, nil)))
	if err != nil {
		s.t.Fatal(err)
	}
	s.alerts = alert.New(alert.Options{
		Host: "mail.ours.example", PerHour: 20, State: s.state, Save: func(alert.State) error { return nil }, Open: func() []incident.Incident { return s.book.OpenIncidents() }, Log: slog.New(slog.DiscardHandler),
	})
	if s.book, err = incident.Open(incident.Options{File: statefile.At(s.path), Changed: s.alerts.Change}); err != nil {
		s.t.Fatal(err)
	}
	s.alerts.SetDestinations(limit(s.t), ds)
}

// stop delivers all there is.
func (s *alerting) stop() {
	s.t.Helper()
	if err := s.book.Close(); err != nil {
		s.t.Error(err)
	}
	s.state = s.alerts.State()
	s.alerts.Close(limit(s.t))
	for name, n := range s.alerts.Stats() {
		if n.Failed+n.Dropped > 0 {
			s.t.Errorf("%s: %+v", name, n)
		}
	}
}

// take is a message of the bank's.
func (s *alerting) take(o tlsstate.Outcome, l tlsstate.Level) {
	s.t.Helper()
	p, err := peer.Identify(peer.Client{Addr: "192.0.2.10", Name: "mx1.bank.example", Resolve: "OK"})
	if err != nil {
		s.t.Fatal(err)
	}
	d := &ratchet.Decision{Verdict: tlsstate.Verdict{
		Outcome: o, Identity: p.Address, Cap: tlsstate.Reject, Action: tlsstate.Header, Pin: tlsstate.TLS12,
		Seen: tlsstate.Security{Level: l}, Days: 41, Since: 20000, Last: 20700,
	}}
	if o == tlsstate.Downgraded {
		d.Kind = tlsstate.Stripped
	}
	s.book.OnEvent(ratchet.Event{
		Session: &ratchet.Session{At: time.Now(), Security: d.Seen, Peer: p, From: "alice@bank.example"}, Decision: d, Done: true,
	})
}

// wants compares what webhook, mail and log received so far.
func (s *alerting) wants(in *posttest.Instance, hook *receiver, want string) {
	s.t.Helper()
	n := len(strings.Fields(want))
	eventually(s.t, "the webhook receives "+want, func() bool { return hook.whats() == want })
	eventually(s.t, "as many mails", func() bool {
		all, err := in.Inbox()
		if err != nil {
			s.t.Fatal(err)
		}
		return len(all) == n
	})
	eventually(s.t, "as many lines in the log", func() bool { return strings.Count(s.log.text(), "msg=alert") == n })
}

// receiver is a real HTTP server that keeps what it is sent.
type receiver struct {
	url    string
	mu     sync.Mutex
	bodies [][]byte
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.bodies = append(r.bodies, b)
	}))
	t.Cleanup(s.Close)
	r.url = s.URL
	return r
}

func (r *receiver) all() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]byte(nil), r.bodies...)
}

func (r *receiver) whats() string {
	var whats []string
	for _, b := range r.all() {
		var m struct{ What string }
		if json.Unmarshal(b, &m) == nil {
			whats = append(whats, m.What)
		}
	}
	return strings.Join(whats, " ")
}

// alertmanager is a running one of Debian's, and its receiver.
type alertmanager struct {
	url      string
	receiver *receiver
}

const alertmanagerConfig = `
route: {receiver: hook, group_by: [alertname, identity], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: %q, send_resolved: true}]}]
`

func newAlertmanager(t *testing.T) *alertmanager {
	t.Helper()
	a := &alertmanager{receiver: newReceiver(t)}
	dir := t.TempDir()
	config := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, alertmanagerConfig, a.receiver.url), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	a.url = "http://" + addr
	runServer(t, alertmanagerCommand(t, "--config.file="+config, "--storage.path="+dir,
		"--web.listen-address="+addr, "--cluster.listen-address="), a.url)
	return a
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// active returns how many alerts it shows.
func (a *alertmanager) active(t *testing.T) int {
	t.Helper()
	resp, err := http.Get(a.url + "/api/v2/alerts?active=true")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var alerts []any
	if err := json.NewDecoder(resp.Body).Decode(&alerts); err != nil {
		t.Fatal(err)
	}
	return len(alerts)
}

// received wants what it passed on, in order.
func (a *alertmanager) received(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	eventually(t, "it passes on the end", func() bool {
		got = nil
		for _, b := range a.receiver.all() {
			var m struct{ Status string }
			if json.Unmarshal(b, &m) == nil {
				got = append(got, m.Status)
			}
		}
		return len(got) >= len(want)
	})
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("it passed on %v, want %v", got, want)
	}
}

// alertmanagerCommand is Debian's Alertmanager: installed, or else unpacked
// into the user's cache, so that the machine stays as it is. It then has a
// /usr/share of its own, for it looks for its templates there.
func alertmanagerCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	const name = "prometheus-alertmanager"
	if path, err := exec.LookPath(name); err == nil {
		return exec.Command(path, args...)
	}
	root, err := apt.Root(apt.Set{Folder: name, Packages: []string{name}, Program: "usr/bin/" + name, Args: []string{"--version"}})
	if err != nil {
		t.Fatal(err)
	}
	const own = `mount --bind "$0/usr/share" /usr/share && exec "$0/usr/bin/prometheus-alertmanager" "$@"`
	return exec.Command("unshare", append([]string{"--mount", "sh", "-c", own, root}, args...)...)
}
