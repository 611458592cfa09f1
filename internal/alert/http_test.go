package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// server is a real one that answers as fn does, and counts.
func server(t *testing.T, fn http.HandlerFunc) (url string, calls *atomic.Int64) {
	t.Helper()
	calls = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		fn(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, calls
}

func webhookTo(t *testing.T, s Settings) *Destination {
	t.Helper()
	s.Kind, s.Least = KindWebhook, "info"
	d, err := newDestination(s, noVariables, discard)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// deliver sends a message, however long that takes on a busy machine.
func deliver(t *testing.T, d *Destination) (string, error) {
	t.Helper()
	return deliverWithin(t, d, time.Minute)
}

// deliverWithin is for what does not end before its time is over.
func deliverWithin(t *testing.T, d *Destination, limit time.Duration) (string, error) {
	t.Helper()
	d.timeout = limit
	c := changeOf("opened", stripped())
	return d.send(t.Context(), messageOf(&c, "mail.here.example"))
}

// TestAnswers of servers in good and bad order.
func TestAnswers(t *testing.T) {
	elsewhere, strayed := server(t, func(http.ResponseWriter, *http.Request) {})
	for _, tt := range []struct {
		name  string
		fn    func(n int64) http.HandlerFunc
		calls int64
		want  string // of the answer, or the error
		ok    bool
	}{
		{"taken", status(200, "fine\x1b[31m"), 1, "200 OK: fine?[31m", true},
		{"nothing to say", status(204, ""), 1, "204 No Content", true},
		{"refused", status(400, "bad channel"), 1, "400 Bad Request: bad channel", false},
		{"gone", status(410, ""), 1, "410 Gone", false},
		{"down for a moment", func(n int64) http.HandlerFunc {
			if n < 3 {
				return status(500, "")(n)
			}
			return status(200, "")(n)
		}, 3, "200 OK", true},
		{"too many", func(n int64) http.HandlerFunc {
			if n < 2 {
				return status(429, "")(n)
			}
			return status(200, "")(n)
		}, 2, "200 OK", true},
		{"too many for long", func(int64) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(429)
			}
		}, 1, "429 Too Many Requests", false},
		{"too many until a date", func(int64) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
				w.WriteHeader(429)
			}
		}, 1, "429 Too Many Requests", false},
		{"redirected elsewhere", func(int64) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
			}
		}, 1, "redirect not followed", false},
		{"redirected by another method", func(int64) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/there", http.StatusFound) }
		}, 1, "redirect not followed", false},
		{"redirected in circles", func(int64) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "/there", http.StatusPermanentRedirect)
			}
		}, 4, "redirect not followed", false},
		{"redirected at home", func(n int64) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/there" {
					http.Redirect(w, r, "/there", http.StatusPermanentRedirect)
				} else if b, _ := io.ReadAll(r.Body); len(b) == 0 || r.Method != http.MethodPost {
					w.WriteHeader(400)
				}
			}
		}, 2, "200 OK", true},
		{"reset", func(int64) http.HandlerFunc { return reset }, 0, "reset by peer", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n atomic.Int64
			url, calls := server(t, func(w http.ResponseWriter, r *http.Request) { tt.fn(n.Add(1))(w, r) })
			limit := time.Minute
			if tt.calls == 0 { // until there is no time left
				limit = time.Second
			}
			answer, err := deliverWithin(t, webhookTo(t, Settings{URL: url}), limit)
			if err != nil {
				answer = err.Error()
			}
			if (err == nil) != tt.ok || !strings.Contains(answer, tt.want) {
				t.Errorf("got %q, %v", answer, err)
			}
			if tt.calls > 0 && calls.Load() != tt.calls {
				t.Errorf("%d calls, want %d", calls.Load(), tt.calls)
			}
		})
	}
	if strayed.Load() != 0 {
		t.Error("a redirect to another host was followed")
	}
}

func status(code int, body string) func(int64) http.HandlerFunc {
	return func(int64) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
}

// reset ends the connection without an answer.
func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

// TestHangs: no answer, no header, or a body without end: it is over in time.
func TestHangs(t *testing.T) {
	for name, fn := range map[string]http.HandlerFunc{
		"no answer": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
		"half an answer": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(500)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	} {
		url, _ := server(t, fn)
		if answer, err := deliverWithin(t, webhookTo(t, Settings{URL: url}), 200*time.Millisecond); err == nil {
			t.Errorf("%s: got %s", name, answer)
		}
	}
}

// TestGigabyte: of a long answer little is read, and nothing kept.
func TestGigabyte(t *testing.T) {
	var sent atomic.Int64
	url, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 1<<20)
		for range 1024 {
			n, err := w.Write(chunk)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	})
	d := webhookTo(t, Settings{URL: url})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	answer, err := deliver(t, d)
	runtime.ReadMemStats(&after)
	if err != nil || len(answer) > 300 {
		t.Errorf("%d bytes of answer, %v", len(answer), err)
	}
	if sent.Load() > 64<<20 || after.TotalAlloc-before.TotalAlloc > 32<<20 {
		t.Errorf("%d bytes were sent, %d allocated", sent.Load(), after.TotalAlloc-before.TotalAlloc)
	}
	url, _ = server(t, func(w http.ResponseWriter, _ *http.Request) {
		for n := range 2000 {
			w.Header().Set(fmt.Sprint("X-", n), strings.Repeat("x", 1000))
		}
	})
	if _, err := deliverWithin(t, webhookTo(t, Settings{URL: url}), time.Second); err == nil {
		t.Error("two megabytes of headers were taken")
	}
}

// TestNoSecretIsShown in a name, an answer or an error.
func TestNoSecretIsShown(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	where, err := url.Parse(closed.URL)
	if err != nil {
		t.Fatal(err)
	}
	const secret = "s3cr3t"
	where.User, where.Path, where.RawQuery = url.UserPassword("u", secret), "/"+secret, "token="+secret
	env := func(name string) (string, bool) {
		return map[string]string{"URL": where.String(), "BAD": "ftp://" + secret, "WORSE": "http://" + secret + "\x7f", "TOKEN": secret}[name], true
	}
	for _, kind := range []string{KindWebhook, KindAlertmanager} {
		d, err := newDestination(Settings{Kind: kind, Least: "info", URL: "env:URL", Token: "env:TOKEN"}, env, discard)
		if err != nil {
			t.Fatal(err)
		}
		_, err = deliverWithin(t, d, 300*time.Millisecond)
		if err == nil {
			t.Fatal("a closed port answered")
		}
		if s := d.Name + err.Error() + fmt.Sprintf("%v", err); strings.Contains(s, secret) {
			t.Errorf("%s: %s", kind, s)
		}
		for _, bad := range []string{"env:BAD", "env:WORSE", "http://" + secret + "\x7f", "ftp://" + secret, secret} {
			if _, err := newDestination(Settings{Kind: kind, Least: "info", URL: bad}, env, discard); err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("%s %s: %v", kind, bad, err)
			}
		}
	}
}

// TestBackoff doubles, within its jitter.
func TestBackoff(t *testing.T) {
	for try, most := range []time.Duration{250, 500, 1000, 2000} {
		for range 100 {
			if d := backoff(try); d < most*time.Millisecond/2 || d > most*time.Millisecond {
				t.Errorf("try %d: %s", try, d)
			}
		}
	}
	if d := backoff(1000); d <= 0 {
		t.Errorf("the thousandth: %s", d)
	}
}

// TestSendEnds: it does not wait for a time that there is not, nor after the end.
func TestSendEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for after, ctx := range map[time.Duration]context.Context{httpTimeout: t.Context(), time.Second: ended} {
			begun, r := time.Now(), &recorder{err: temporary{errDown, after}}
			if _, err := to(r, Info).send(ctx, testMessage("mail")); !errors.Is(err, errDown) || r.sent() != "test" || time.Since(begun) > 0 {
				t.Errorf("not before %s: %v after %s", after, err, time.Since(begun))
			}
		}
	})
}

func TestKinds(t *testing.T) {
	_, err := NewDestinations([]Settings{{Kind: KindLog, Least: "info"}, {Kind: "pigeon", Least: "info"}, {Kind: KindWebhook, Least: "info", URL: "https://x", Token: "plain"}}, noVariables, discard)
	for _, want := range []string{`unknown kind "pigeon"`, "token: want file:/path or env:NAME"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	ds, err := NewDestinations([]Settings{{Kind: KindWebhook, URL: "https://x/1", Least: "info"}, {Kind: KindWebhook, URL: "https://x/2", Least: "critical"}}, noVariables, discard)
	if err != nil || ds[0].Name != "webhook https://x" || ds[1].Name != "webhook https://x (2)" || ds[1].Least != Critical {
		t.Errorf("got %v, %v", ds, err)
	}
}

func TestLimited(t *testing.T) {
	l := &limited{left: 3}
	if _, err := l.Write([]byte("ab")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write([]byte("cd")); err == nil || !bytes.Equal(l.Bytes(), []byte("ab")) {
		t.Errorf("got %q, %v", l.Bytes(), err)
	}
}
