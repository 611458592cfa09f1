package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/ratchet"
)

// TestOverrideIsKept: what an operator sets is written at once, and not first at
// the end: it outlives a crash.
func TestOverrideIsKept(t *testing.T) {
	cfg := testConfig(t)
	d, _, stop := running(t, cfg)
	set := func(answer string) {
		t.Helper()
		w := httptest.NewRecorder()
		body := strings.NewReader(`{"answer":"` + answer + `","why":"x"}`)
		d.adminHandler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/breaker", body))
		if w.Code != http.StatusOK {
			t.Fatal(w.Body)
		}
	}
	kept := func(want bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			b, _ := os.ReadFile(filepath.Join(filepath.Dir(cfg.History), "breaker.json"))
			if len(b) > 0 && strings.Contains(string(b), `"override"`) == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s", b)
			}
		}
	}
	set("suspended")
	kept(true)
	set("auto")
	kept(false)
	stop()
}

// TestBreakerIsWrittenLater: a state that could not be written is written at the next
// look, and that is logged once.
func TestBreakerIsWrittenLater(t *testing.T) {
	cfg := testConfig(t)
	folder := filepath.Dir(cfg.History) + "/later"
	cfg.History = folder + "/history.db"
	var log bytes.Buffer
	k := newBreaker(cfg, nil, func(context.Context, ratchet.BreakerState) {}, slog.New(slog.NewTextHandler(&log, nil)))
	answer := ratchet.Suspended
	k.Override(&answer)
	k.report(t.Context())
	k.report(t.Context())
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	k.report(t.Context())
	if b, err := os.ReadFile(folder + "/breaker.json"); !strings.Contains(string(b), `"override"`) {
		t.Errorf("%s, %v", b, err)
	}
	if n := strings.Count(log.String(), "save"); n != 2 {
		t.Errorf("want a begin and an end:\n%s", &log)
	}
}
