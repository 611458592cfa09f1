package daemon

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
