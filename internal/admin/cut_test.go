package admin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"tlsratchet/internal/admin"
	"tlsratchet/tlsstate"
)

// faltering is a client of a daemon that answers so much and goes away.
func faltering(t *testing.T, body string) *admin.Admin {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if body != "" {
			fmt.Fprint(w, body)
			http.NewResponseController(w).Flush()
		}
		panic(http.ErrAbortHandler)
	})}
	go server.Serve(ln)
	c, err := admin.Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); server.Close() })
	return c
}

// A daemon that goes away in the middle of a list is an error, not an end,
// wherever the list was cut.
func TestCutList(t *testing.T) {
	const whole = `{"identity":"address:192.0.2.1","last":"2026-11-21","days":{}}` + "\n"
	body := strings.Repeat(whole, 3)
	for cut := range len(body) + 1 {
		c := faltering(t, body[:cut])
		rows, last := 0, error(nil)
		for r, err := range c.Peers(t.Context(), admin.Query{}) {
			if err == nil && r.Identity != "address:192.0.2.1" {
				t.Fatalf("cut at %d: %+v", cut, r)
			}
			if last = err; err == nil {
				rows++
			}
		}
		if want := cut / len(whole); rows != want {
			t.Errorf("cut at %d: %d rows, want %d", cut, rows, want)
		}
		want := "went away in the middle of its answer"
		if cut == 0 {
			want = "went away before it answered"
		}
		if last == nil || !strings.Contains(last.Error(), want) || errors.Is(last, admin.ErrBadRequest) {
			t.Errorf("cut at %d: %v", cut, last)
		}
	}
}

// So it is for an answer of one value, and for a question that is a list.
func TestCutAnswer(t *testing.T) {
	line := admin.Line{Identity: identity("address:192.0.2.1")}
	for name, ask := range map[string]func(*admin.Admin) error{
		"peer":      func(c *admin.Admin) error { _, err := c.Peer(t.Context(), tlsstate.Identity{}); return err },
		"explain":   func(c *admin.Admin) error { _, err := c.Explain(t.Context(), admin.Question{}); return err },
		"act":       func(c *admin.Admin) error { _, err := c.Do(t.Context(), admin.Act{}); return err },
		"summary":   func(c *admin.Admin) error { _, err := c.Summary(t.Context()); return err },
		"incidents": func(c *admin.Admin) error { _, err := c.Incidents(t.Context()); return err },
		"breaker":   func(c *admin.Admin) error { _, err := c.Breaker(t.Context(), admin.Override{}); return err },
		"import": func(c *admin.Admin) error {
			_, err := c.Import(t.Context(), "import", "alice", seq([]admin.Line{line}))
			return err
		},
	} {
		for body, want := range map[string]string{"": "went away before it answered", `{"answer":`: "went away in the middle"} {
			err := ask(faltering(t, body))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s after %q: %v, want %s", name, body, err, want)
			}
		}
	}
}

// A file that can't be read is not the fault of what is in it; a line that is
// too long is.
func TestUnreadableLines(t *testing.T) {
	for _, tt := range []struct {
		name string
		r    io.Reader
		line int
		bad  bool
	}{
		{"a disk that fails", io.MultiReader(strings.NewReader("\n"), failing{}), 2, false},
		{"a line without end", strings.NewReader(strings.Repeat("x", 1<<17)), 1, true},
		{"no JSON", strings.NewReader("peers\n"), 1, true},
	} {
		var last error
		for _, err := range admin.Lines(tt.r) {
			last = err
		}
		if last == nil || errors.Is(last, admin.ErrBadRequest) != tt.bad || !strings.HasPrefix(last.Error(), fmt.Sprintf("line %d: ", tt.line)) {
			t.Errorf("%s: %v", tt.name, last)
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrNoProgress }

// A list that the daemon itself could not finish ends with what it says.
func TestFailedList(t *testing.T) {
	w := newWorld(t)
	w.Peers = func(context.Context, admin.Query) iter.Seq2[admin.Row, error] {
		return func(yield func(admin.Row, error) bool) {
			_ = yield(admin.Row{Identity: "address:192.0.2.1"}, nil) && yield(admin.Row{}, errors.New("the disk"))
		}
	}
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: admin.Handler(w.Admin)}
	go server.Serve(ln)
	defer server.Close()
	c, err := admin.Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got []string
	for r, err := range c.Peers(t.Context(), admin.Query{}) {
		got = append(got, fmt.Sprint(r.Identity, err))
	}
	if want := "address:192.0.2.1<nil> the disk"; strings.Join(got, " ") != want {
		t.Errorf("%q, want %q", got, want)
	}
}
