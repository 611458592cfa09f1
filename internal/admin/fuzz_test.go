package admin_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"tlsratchet/internal/admin"
)

// FuzzHandler: whatever a client sends, the API answers and the daemon lives.
func FuzzHandler(f *testing.F) {
	for _, path := range []string{"peers", "summary", "tally", "breaker", "export"} {
		f.Add(false, path, "")
	}
	for path, body := range map[string]string{
		"peers":             `{"Kind":2,"Level":1,"Leveled":true,"Limit":2,"Below":"example","Pinned":true}`,
		"peer":              `"address:192.0.2.10"`,
		"explain":           `{"Name":"bank.example","Client":"192.0.2.10","TLS":"none"}`,
		"act":               `{"do":"unpin","identity":"domain:bank.example","why":"x"}`,
		"breaker":           `{"answer":"armed","why":"x"}`,
		"import?act=import": `{"identity":"domain:a.example","history":{}}`,
	} {
		f.Add(true, path, body)
	}
	f.Fuzz(func(t *testing.T, post bool, path, body string) {
		if strings.ContainsAny(path, " \r\n#%") {
			return // no client can send it
		}
		method := "GET"
		if post {
			method = "POST"
		}
		r := httptest.NewRequest(method, "/", strings.NewReader(body))
		path, r.URL.RawQuery, _ = strings.Cut(path, "?")
		r.URL.Path = "/v1/" + path
		w := httptest.NewRecorder()
		admin.Handler(newWorld(t).Admin).ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
	})
}
