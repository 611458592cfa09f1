package wire

import (
	"bytes"
	"log"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestClean(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", ""},
		{"plain", "plain"},
		{"one\ntwo\r\n\tthree\n", "one | two | three"},
		{"a  \t b", "a b"},
		{"\x1b[31mred\x00\x7f", "?[31mred??"},
		{"münchen", "m??nchen"},
		{"  \n  ", ""},
		{strings.Repeat("x", 50), strings.Repeat("x", 20)},
	} {
		if got := clean([]byte(test.in), 20); got != test.want {
			t.Errorf("%q: got %q, want %q", test.in, got, test.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add([]byte("a\nb\x00"), 3)
	f.Fuzz(func(t *testing.T, p []byte, limit int) {
		limit = limit&0xFFF + 1
		got := clean(p, limit)
		if len(got) > limit {
			t.Errorf("%d bytes of at most %d", len(got), limit)
		}
		for _, b := range []byte(got) {
			if b < 0x20 || b > 0x7E {
				t.Fatalf("%q from %q", got, p)
			}
		}
	})
}

func TestLogWriter(t *testing.T) {
	var out bytes.Buffer
	to := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
	std := log.New(LogWriter(to), "", 0)
	std.Printf("panic handling command: %v\n%s", "boom\x1b", "goroutine 1:\n\tmain.go:1")
	std.Print("")
	want := `level=WARN msg=go-milter text="panic handling command: boom? | goroutine 1: | main.go:1"` + "\n"
	if out.String() != want {
		t.Errorf("got  %swant %s", out.String(), want)
	}
}

func TestSparse(t *testing.T) {
	s := sparse{perMinute: 2}
	at := time.Date(2026, 9, 21, 0, 0, 0, 0, time.UTC)
	for i, test := range []struct {
		after  time.Duration
		hidden int
		ok     bool
	}{
		{0, 0, true},
		{time.Second, 0, true},
		{2 * time.Second, 0, false},
		{time.Minute, 0, false},
		{time.Minute + 1, 2, true},
		{time.Minute + 2, 0, true},
		{time.Minute + 3, 0, false},
	} {
		hidden, ok := s.allow(at.Add(test.after))
		if hidden != test.hidden || ok != test.ok {
			t.Errorf("%d: got %d %v, want %d %v", i, hidden, ok, test.hidden, test.ok)
		}
	}
}
