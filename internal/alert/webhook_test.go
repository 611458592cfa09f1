package alert

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// call is what a webhook got.
type call struct {
	method, path string
	header       http.Header
	body         []byte
}

// calls is a real server that keeps what it got.
func calls(t *testing.T) (url string, got chan call) {
	got = make(chan call, 100)
	url, _ = server(t, func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- call{r.Method, r.URL.Path, r.Header, b}
	})
	return url, got
}

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWebhook: the documented JSON, signed.
func TestWebhook(t *testing.T) {
	url, got := calls(t)
	d := webhookTo(t, Settings{URL: url + "/hook", Secret: "file:" + file(t, "key", "k3y\n"), Token: "file:" + file(t, "token", "t0ken")})
	if _, err := deliver(t, d); err != nil {
		t.Fatal(err)
	}
	c := <-got
	if c.method != "POST" || c.path != "/hook" || c.header.Get("Content-Type") != "application/json" ||
		c.header.Get("Authorization") != "Bearer t0ken" || c.header.Get("User-Agent") != "tlsratchet" {
		t.Errorf("got %s %s %v", c.method, c.path, c.header)
	}
	stamp := c.header.Get("X-Tlsratchet-Timestamp")
	if want := signatureOf("k3y", stamp, c.body); c.header.Get("X-Tlsratchet-Signature") != want {
		t.Errorf("signature %s, want %s", c.header.Get("X-Tlsratchet-Signature"), want)
	}
	var m struct {
		Version                            int
		ID, Key, Status, What, Host, Title string
		Severity                           Severity
		Next                               []string
		Incident                           struct {
			Identity string
			Messages int
			Done     map[string]int
		}
	}
	if err := json.Unmarshal(c.body, &m); err != nil {
		t.Fatal(err)
	}
	if m.Version != 1 || m.ID == "" || m.Key != "incident-17" || m.Status != "open" || m.What != "opened" || m.Severity != Critical ||
		m.Host != "mail.here.example" || m.Incident.Identity != "address:192.0.2.10" || m.Incident.Done["quarantine"] != 2 || len(m.Next) != 4 {
		t.Errorf("got %+v", m)
	}
}

// TestSignature is one that anybody can make: printf '1.{}' | openssl dgst
// -sha256 -hmac key.
func TestSignature(t *testing.T) {
	want := "sha256=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224"
	if got := signatureOf("key", "1", []byte("{}")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestRetriesAreTheSameMessage: its ID doesn't change.
func TestRetriesAreTheSameMessage(t *testing.T) {
	var bodies []string
	url, n := server(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(b))
		if len(bodies) < 3 {
			w.WriteHeader(503)
		}
	})
	if _, err := deliver(t, webhookTo(t, Settings{URL: url})); err != nil || n.Load() != 3 {
		t.Fatalf("%d calls, %v", n.Load(), err)
	}
	if len(slices.Compact(bodies)) != 1 {
		t.Errorf("different bodies: %q", bodies)
	}
}

// templates are those we ship.
func templates(t testing.TB) []string {
	t.Helper()
	all, err := filepath.Glob("../../contrib/alert/*.tmpl")
	if err != nil || len(all) != 6 {
		t.Fatalf("%d templates, %v", len(all), err)
	}
	return all
}

// TestTemplates: each of those we ship loads, and states what matters.
func TestTemplates(t *testing.T) {
	for _, path := range templates(t) {
		url, got := calls(t)
		d := webhookTo(t, Settings{URL: url + "/rooms/!r:example/send/{id}", Body: path})
		for range 2 {
			if _, err := deliver(t, d); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
		a, b := <-got, <-got
		if a.method != "PUT" || a.path == b.path || strings.Contains(a.path, "{") {
			t.Errorf("%s: %s %s, %s", path, a.method, a.path, b.path)
		}
		all := strings.Join(leaves(t, a.body), "\n")
		for _, want := range []string{"mx1.bank.example (192.0.2.10) came without TLS", "on 41 of the last 64 days", "postsuper -H 4XyZ12"} {
			if !strings.Contains(all, want) {
				t.Errorf("%s: no %q in\n%s", path, want, a.body)
			}
		}
	}
}

// leaves returns all texts in a JSON document.
func leaves(t testing.TB, b []byte) (all []string) {
	t.Helper()
	var doc any
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			all = append(all, v)
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(doc)
	return all
}

// shape returns a JSON document with its texts left out.
func shape(t testing.TB, b []byte) string {
	t.Helper()
	var doc any
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	var walk func(any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case string:
			return ""
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		case map[string]any:
			for k := range v {
				v[k] = walk(v[k])
			}
		}
		return v
	}
	out, err := json.Marshal(walk(doc))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// FuzzTemplates: whatever a peer chooses, it stays a text in a document whose
// shape does not change.
func FuzzTemplates(f *testing.F) {
	f.Add("bank.example")
	f.Add(`","text":"@everyone","x":"`)
	f.Add("{{.}}\\\"\n</script>")
	bodies := make(map[string]body)
	for _, path := range templates(f) {
		b, err := readBody(path)
		if err != nil {
			f.Fatal(err)
		}
		bodies[path] = b
	}
	f.Fuzz(func(t *testing.T, s string) {
		for path, b := range bodies {
			hostile, harmless := hostileChange(s), hostileChange("x")
			for _, c := range []*[]string{&hostile.Incident.From, &harmless.Incident.From} {
				*c = append(*c, s)
			}
			hostile.Identity.Name, harmless.Identity.Name = "x", "x" // so that both have commands
			got, err := b.render([]*Message{messageOf(&hostile, "mail")})
			if err != nil {
				t.Fatal(err)
			}
			m := messageOf(&harmless, "mail")
			m.Next = messageOf(&hostile, "mail").Next
			want, err := b.render([]*Message{m})
			if err != nil {
				t.Fatal(err)
			}
			if shape(t, got) != shape(t, want) {
				t.Fatalf("%s: the shape changed:\n%s\n%s", path, got, want)
			}
		}
	})
}

// TestBadTemplates are found out at the start.
func TestBadTemplates(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a.json.tmpl", `{"text": {{json .Title}}`, "the result is not JSON"},
		{"a.json.tmpl", `{"text": "{{.Incident.Words}}"}`, "the result is not JSON"},
		{"a.json.tmpl", `{"text": {{json .Titel}}}`, "can't evaluate field Titel"},
		{"a.json", `{"text": {{json .Incident.Words}}}`, "nil pointer"},
		{"a.txt", `{{range 100000}}{{$.Text}}{{end}}`, "more than 65536 bytes"},
		{"a.txt", `{{`, "unclosed action"},
		{"a.txt", `{{exec "id"}}`, `function "exec" not defined`},
	} {
		_, err := newDestination(Settings{Kind: KindWebhook, Least: "info", URL: "http://x", Body: file(t, tt.name, tt.text)}, noVariables, discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v", tt.text, err)
		}
	}
	if _, err := newDestination(Settings{Kind: KindWebhook, Least: "info", URL: "http://x", Body: "/nowhere"}, noVariables, discard); err == nil {
		t.Error("a template that isn't there")
	}
}

func TestPlainTemplate(t *testing.T) {
	url, got := calls(t)
	d := webhookTo(t, Settings{URL: url, Body: file(t, "sms.tmpl", "{{pick .Severity 1 2 3}} {{.Title}} {{join (list .Host .Key) \"/\"}}")})
	if _, err := deliver(t, d); err != nil {
		t.Fatal(err)
	}
	c := <-got
	if want := "3 mx1.bank.example (192.0.2.10) came without TLS mail.here.example/incident-17"; string(c.body) != want || !strings.HasPrefix(c.header.Get("Content-Type"), "text/plain") {
		t.Errorf("got %s: %s", c.header.Get("Content-Type"), c.body)
	}
}
