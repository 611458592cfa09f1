package status_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/status"
)

// TestHosts: who may call the page by which name. A name of a stranger's is
// how a web page elsewhere would read this one (DNS rebinding).
func TestHosts(t *testing.T) {
	for _, tc := range []struct {
		address string
		names   []string
		host    string
		want    int
	}{
		{"127.0.0.1:9125", nil, "127.0.0.1:9125", 200},
		{"127.0.0.1:9125", nil, "127.0.0.1", 200},
		{"127.0.0.1:9125", nil, "localhost:9125", 200},
		{"127.0.0.1:9125", nil, "LocalHost.:8080", 200}, // a forwarded port
		{"127.0.0.1:9125", nil, "evil.example:9125", 421},
		{"127.0.0.1:9125", nil, "localhost.evil.example", 421},
		{"127.0.0.1:9125", nil, "127.0.0.1.evil.example", 421},
		{"127.0.0.1:9125", nil, "192.0.2.1:9125", 421},
		{"127.0.0.1:9125", nil, "", 421},
		{"127.0.0.1:9125", nil, ":9125", 421},
		{"127.0.0.1:9125", nil, "[::1]:9125", 421},
		{"127.0.0.1:9125", []string{"Mail.example"}, "mail.EXAMPLE", 200},
		{"127.0.0.1:9125", []string{"mail.example"}, "www.mail.example", 421},
		{"[::1]:9125", nil, "[::1]:9125", 200},
		{"[::1]:9125", nil, "[::1]", 200},
		{"mail.example:9125", nil, "mail.example:9125", 200},
		{"0.0.0.0:9125", nil, "192.0.2.1:9125", 200}, // an address can't be rebound
		{"[::]:9125", nil, "[2001:db8::1]:9125", 200},
		{":9125", nil, "192.0.2.1:9125", 200},
		{"0.0.0.0:9125", nil, "evil.example:9125", 421},
	} {
		s, err := status.NewServer(status.ServerOptions{
			Address: tc.address, Names: tc.names, Metrics: status.NewMetrics(nothing), Page: emptyPage(t), Log: quietLog(),
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/", "/metrics", "/style.css", "/peer?name=x"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host = tc.host
			s.Handler.ServeHTTP(w, r)
			if w.Code != tc.want {
				t.Errorf("listening on %s, called %q, %s: %d, want %d", tc.address, tc.host, path, w.Code, tc.want)
			}
		}
	}
}

func TestBadAddress(t *testing.T) {
	_, err := status.NewServer(status.ServerOptions{Address: "127.0.0.1", Metrics: status.NewMetrics(nothing), Page: emptyPage(t), Log: quietLog()})
	if err == nil || !strings.Contains(err.Error(), "address of the status page") {
		t.Error(err)
	}
}

// TestReadOnly: only GET and HEAD, on every path.
func TestReadOnly(t *testing.T) {
	s := serve(t, emptyPage(t))
	for _, path := range []string{"/", "/incidents", "/peer", "/metrics", "/healthz", "/style.css", "/nowhere", "/debug/pprof/"} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(method, "http://127.0.0.1"+path, nil)
			r.Host = "127.0.0.1"
			s.Handler.ServeHTTP(w, r)
			want := http.StatusOK
			switch {
			case method != "GET" && method != "HEAD":
				want = http.StatusMethodNotAllowed
			case path == "/nowhere" || path == "/debug/pprof/":
				want = http.StatusNotFound
			}
			if w.Code != want {
				t.Errorf("%s %s: %d, want %d", method, path, w.Code, want)
			}
		}
	}
}

// TestHeaders: every answer, refusals too, has the policy that lets no script
// and nothing from elsewhere in.
func TestHeaders(t *testing.T) {
	s := serve(t, emptyPage(t))
	for _, tc := range []struct{ host, path, kind string }{
		{"127.0.0.1", "/", "text/html; charset=utf-8"},
		{"127.0.0.1", "/peer?name=%3Cscript%3E", "text/html; charset=utf-8"},
		{"127.0.0.1", "/style.css", "text/css; charset=utf-8"},
		{"127.0.0.1", "/icon.svg", "image/svg+xml"},
		{"127.0.0.1", "/healthz", "text/plain; charset=utf-8"},
		{"127.0.0.1", "/nowhere", "text/plain; charset=utf-8"},
		{"evil.example", "/", "text/plain; charset=utf-8"},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, tc.path, nil)
		r.Host = tc.host
		s.Handler.ServeHTTP(w, r)
		for name, want := range map[string]string{
			"Content-Security-Policy":      "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options":       "nosniff",
			"Referrer-Policy":              "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Content-Type":                 tc.kind,
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s%s: %s: %q, want %q", tc.host, tc.path, name, got, want)
			}
		}
	}
}

func TestHealth(t *testing.T) {
	wrong := errors.New("the memory doesn't answer:\n\x1b[2J")
	s, err := status.NewServer(status.ServerOptions{
		Address: "127.0.0.1:9125", Metrics: status.NewMetrics(nothing), Page: emptyPage(t), Log: quietLog(),
		Alive: func() error { return nil }, Ready: func() error { return wrong },
	})
	if err != nil {
		t.Fatal(err)
	}
	if code, body := get(t, s, "/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("%d %q", code, body)
	}
	if code, body := get(t, s, "/readyz"); code != 503 || body != "the memory doesn't answer:??[2J\n" {
		t.Errorf("%d %q", code, body)
	}
}

// TestOverTheWire: the server on a socket ends on Shutdown; a client that sends
// nothing, or too much, doesn't hold it up.
func TestOverTheWire(t *testing.T) {
	base := listen(t, emptyPage(t))
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(base + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(body) != "ok\n" {
		t.Errorf("%q", body)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n", strings.Repeat("a", 64<<10))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, "431") {
		t.Errorf("64 KiB of headers: %q, %v", line, err)
	}
}
