package clean_test

import (
	"log/slog"
	"strings"
	"testing"

	"tlsratchet/internal/clean"
)

func TestText(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"mx1.bank.example", "mx1.bank.example"},
		{"a\r\nX-Forged: yes", "a??X-Forged: yes"},
		{"\x1b[31mred\x00", "?[31mred?"},
		{"b\u00fccher", "b??cher"},
		{"~ \x7f", "~ ?"},
		{strings.Repeat("x", 20), strings.Repeat("x", 20)},
		{strings.Repeat("x", 21), strings.Repeat("x", 20) + "..."},
	} {
		if got := clean.Text(tt.in, 20); got != tt.want {
			t.Errorf("Text(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\r\nb", 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = min(max(limit, 0), 4096)
		got := clean.Text(s, limit)
		if len(got) > limit+3 {
			t.Fatalf("%d bytes, limit %d", len(got), limit)
		}
		for i := range len(got) {
			if got[i] < ' ' || got[i] > '~' {
				t.Fatalf("byte %#02x left in %q", got[i], got)
			}
		}
		if len(s) <= limit && clean.Text(got, limit) != got {
			t.Fatalf("%q is not clean yet", got)
		}
	})
}

// TestWords: what stands in a command is one word, and no option.
func TestWords(t *testing.T) {
	for s, want := range map[string]bool{
		"address:2001:db8::1": true, "sender:a.example/b.example": true, "4XyZ12": true, strings.Repeat("a", 600): true,
		"": false, "-r": false, "a b": false, "a;b": false, "a'b": false, "$(a)": false, "a\nb": false, "é": false, strings.Repeat("a", 601): false,
	} {
		if got := clean.IsWord(s); got != want {
			t.Errorf("%q: %t", s, got)
		}
	}
	const all = "azAZ09.-_:/"
	if got := clean.Name("a b;c\n.example") + clean.Name(all); got != "a?b?c?.example"+all {
		t.Error(got)
	}
}

// TestPanics: however often something panics, one stack is logged, and nothing
// of a peer's choice as it came.
func TestPanics(t *testing.T) {
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, nil))
	var p clean.Panics
	for range 3 {
		p.Log(log, "accepted", "a\x1b[31m\r\nb")
	}
	if text := out.String(); strings.Count(text, "stack=") != 1 || strings.Count(text, `error="panic: a?[31m??b"`) != 3 {
		t.Error(text)
	}
}
