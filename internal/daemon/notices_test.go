package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/config"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/selfcheck"
	"tlsratchet/internal/statefile"
)

// TestSelfcheckNotices: whoever gets only the critical message also gets its end,
// whatever comes after it. A certificate that has expired, or that nobody was
// shown, was not renewed, and does not suspend anything.
func TestSelfcheckNotices(t *testing.T) {
	const again, renewed = "own-starttls critical closed: STARTTLS of this server: works again", "own-certificate warning closed: STARTTLS of this server: certificate renewed"
	for _, tt := range []struct {
		now       selfcheck.Problem
		want      string
		suspended bool
	}{
		{selfcheck.HandshakeFails, "own-starttls critical open: STARTTLS of this server: handshake fails", true},
		{selfcheck.NotOffered, "own-starttls critical open: STARTTLS of this server: not offered", true},
		{selfcheck.CertificateInvalid, "own-starttls critical open: STARTTLS of this server: certificate not valid", false},
		{selfcheck.CertificateExpires, again + ", own-certificate warning open: STARTTLS of this server: certificate expires soon", false},
		{selfcheck.OK, again + ", " + renewed, false},
	} {
		var got []string
		for _, n := range selfcheckNotices(selfcheck.Notice{Problem: tt.now, Address: "mx:25"}) {
			got = append(got, fmt.Sprintf("%s %s %s: %s", n.Key, n.Severity, n.Status, n.Title))
			if strings.Contains(n.Text, "suspended") != tt.suspended || n.Text[0] > 'Z' || !strings.HasSuffix(n.Text, ".") || strings.Contains(n.Text, "log\n") {
				t.Errorf("%s: %s", tt.now, n.Text)
			}
		}
		if s := strings.Join(got, ", "); s != tt.want {
			t.Errorf("%s: %s, want %s", tt.now, s, tt.want)
		}
	}
}

// TestCertificateOfOutage: a certificate that was about to end when STARTTLS
// failed is over with when STARTTLS works again, and its notice with it.
func TestCertificateOfOutage(t *testing.T) {
	hook := newWebhook(t)
	w := watchOf(t, hook, filepath.Join(t.TempDir(), "history.db"))
	for _, p := range []selfcheck.Problem{selfcheck.CertificateExpires, selfcheck.NotOffered, selfcheck.OK} {
		w.ownTLS(selfcheck.Notice{Problem: p, Address: "mx:25", Result: selfcheck.Result{At: time.Now()}})
	}
	if open := w.alerts.State().Matters; len(open) > 0 {
		t.Errorf("open: %v", open[0].Message.Title)
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
}

// TestHistoryNotices: trouble with the history file is one matter, which is reported
// again when it changes, and when it is over.
func TestHistoryNotices(t *testing.T) {
	hook := newWebhook(t)
	w := watchOf(t, hook, filepath.Join(t.TempDir(), "history.db"))
	const judged = "Mail is accepted and judged by what is known."
	for _, step := range []struct{ trouble, title, text string }{
		{"", "", "The file is whole, in its place, written and copied."},
		{"history file can't be written: kept in memory\n", "history file can't be written", "History file can't be written: kept in memory.\n" + judged},
		{"history file can't be written: kept in memory\nno snapshot: more will be lost\n", "history file can't be written; no snapshot",
			"History file can't be written: kept in memory.\nNo snapshot: more will be lost.\n" + judged},
		{"", "", "The file is whole, in its place, written and copied."},
	} {
		n := historyNotice(step.trouble)
		w.notify(n)
		open := w.alerts.State().Matters
		if step.title == "" && len(open) > 0 || step.title != "" && (len(open) != 1 || open[0].Message.Title != step.title) || n.Text != step.text {
			t.Errorf("after %q: %+v, %q", step.trouble, open, n.Text)
		}
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
}

var expired = selfcheck.Result{At: noon, Reachable: true, Offered: true, Handshake: true, CertNotAfter: noon.Add(-time.Hour)}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestCause(t *testing.T) {
	for want, r := range map[string]selfcheck.Result{
		"":                        {},
		"STARTTLS is not offered": {At: noon, Reachable: true, Err: selfcheck.ErrNotOffered},
		"certificate not valid":   expired,
	} {
		if got := cause(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestBreakerNotice: an outage that the self-check reports is critical there,
// and not here too.
func TestBreakerNotice(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer ratchet.Answer
		check  selfcheck.Result
		want   alert.Severity
	}{
		{"STARTTLS is gone", ratchet.Suspended, selfcheck.Result{At: noon, Reachable: true, Err: selfcheck.ErrNotOffered}, alert.Warning},
		{"the certificate is over", ratchet.Suspended, expired, alert.Warning},
		{"nobody answers", ratchet.Suspended, selfcheck.Result{At: noon, Err: errors.New("connection refused")}, alert.Critical},
		{"no self-check", ratchet.Suspended, selfcheck.Result{}, alert.Critical},
		{"somebody strips", ratchet.Softened, selfcheck.Result{At: noon, Reachable: true, Offered: true, Handshake: true}, alert.Critical},
	} {
		if n := breakerNotice(ratchet.BreakerState{Answer: tt.answer, Since: noon}, tt.check); n.Severity != tt.want || n.Key != "breaker" {
			t.Errorf("%s: %s %s", tt.name, n.Severity, n.Key)
		}
	}
}

// TestOutageOfDestinations: when many destinations fail at once there is one
// critical message, and one of the end, though a restart is between.
func TestOutageOfDestinations(t *testing.T) {
	hook := newWebhook(t)
	history := filepath.Join(t.TempDir(), "history.db")
	report := func(o outbound.OutageState) {
		t.Helper()
		w := watchOf(t, hook, history)
		w.outage(o)
		w.outage(o)
		if err := w.close(); err != nil { // delivers all there is
			t.Fatal(err)
		}
	}
	report(outbound.OutageState{Since: time.Now()})
	hook.wants(t, "outbound-outage open")
	report(outbound.OutageState{})
	hook.wants(t, "outbound-outage open, outbound-outage closed")
}

// TestOutageEndsWithTheSendingSide: one that was reported is over where the sending side
// is switched off meanwhile: nobody else would say so.
func TestOutageEndsWithTheSendingSide(t *testing.T) {
	hook := newWebhook(t)
	history := filepath.Join(t.TempDir(), "history.db")
	w := watchOf(t, hook, history)
	w.outage(outbound.OutageState{Since: time.Now()})
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	d := &Daemon{watch: watchOf(t, hook, history)}
	cfg := testConfig(t)
	cfg.Outbound.Listen = nil
	if err := errors.Join(d.addSending(cfg, nil), d.watch.close()); err != nil {
		t.Fatal(err)
	}
	hook.wants(t, "outbound-outage open, outbound-outage closed")
}

// watchOf returns a watch on a memory that reports what is critical to a webhook.
func watchOf(t *testing.T, hook *webhook, history string) *watch {
	t.Helper()
	cfg, err := config.Load("", func(string) (string, bool) { return "", false }, config.Flags{"history": history})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Destinations = []alert.Settings{{Kind: alert.KindWebhook, Least: "critical", URL: hook.URL}}
	w := newWatch(cfg, slog.New(slog.DiscardHandler))
	return w
}

// TestOutageIsReportedOnce: of one outage of ours there is one critical message, and
// one of its end; none at a restart in its middle, whether it is over by then or
// not.
func TestOutageIsReportedOnce(t *testing.T) {
	hook := newWebhook(t)
	history := filepath.Join(t.TempDir(), "history.db")
	begin := func() *watch { return watchOf(t, hook, history) }
	end := func(w *watch) {
		t.Helper()
		if err := w.close(); err != nil { // delivers all there is
			t.Fatal(err)
		}
	}
	gone := selfcheck.Result{At: time.Now(), Reachable: true, Err: selfcheck.ErrNotOffered}
	found := func(p selfcheck.Problem) selfcheck.Notice {
		return selfcheck.Notice{Problem: p, Address: "mx:25", Result: gone}
	}
	suspended := ratchet.BreakerState{Answer: ratchet.Suspended, Since: time.Now(), BrokenTo: time.Now()}

	w := begin()
	w.ownTLS(found(selfcheck.NotOffered))
	w.notify(breakerNotice(suspended, gone))
	end(w)
	hook.wants(t, "own-starttls open")
	w = begin()
	w.ownTLS(found(selfcheck.NotOffered))
	w.notify(breakerNotice(suspended, gone))
	end(w)
	hook.wants(t, "own-starttls open")
	w = begin()
	w.ownTLS(found(selfcheck.OK))
	end(w)
	hook.wants(t, "own-starttls open, own-starttls closed")
	w = begin()
	w.ownTLS(found(selfcheck.OK))
	end(w)
	hook.wants(t, "own-starttls open, own-starttls closed")
}

// TestAlertState: a damaged file counts as none, and what nobody will end is left
// out.
func TestAlertState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notices.json")
	k := statefile.At(path)
	log := slog.New(slog.DiscardHandler)
	if got := alertState(k, true, log); len(got.Matters) != 0 {
		t.Errorf("without a file: %v", got)
	}
	all := []alert.Matter{{}}
	for _, key := range []string{"breaker", "own-starttls"} {
		all = append(all, alert.Matter{Message: &alert.Message{Key: key, Status: alert.StatusOpen}})
	}
	if err := k.Write(alert.State{Matters: all}); err != nil {
		t.Fatal(err)
	}
	if with, without := alertState(k, true, log).Matters, alertState(k, false, log).Matters; len(with) != 2 || len(without) != 1 || without[0].Message.Key != "breaker" {
		t.Errorf("with a self-check %v, without %v", with, without)
	}
	for _, damaged := range []string{`{"matters": [{"message": 7`, `{"destinations": ["x"], "matters": 7}`} {
		if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := alertState(k, true, log); len(got.Matters)+len(got.Destinations) != 0 {
			t.Errorf("damaged: %+v", got)
		}
	}
}

// webhook is a server that records what is sent to it.
type webhook struct {
	*httptest.Server
	mu    sync.Mutex
	calls [][]byte
}

func newWebhook(t *testing.T) *webhook {
	t.Helper()
	h := &webhook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.calls = append(h.calls, b)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *webhook) wants(t *testing.T, want string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	var got []string
	for _, b := range h.calls {
		var m struct{ Key, Status string }
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Key+" "+m.Status)
	}
	if s := strings.Join(got, ", "); s != want {
		t.Fatalf("sent %q, want %q", s, want)
	}
}
