package postconf

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fake puts a postconf of our own in the PATH: errors must be seen without Postfix, too.
func fake(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "postconf"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
}

func TestAsk(t *testing.T) {
	fake(t, `echo "$*"`)
	for dir, want := range map[string]string{"": "-x relayhost\n", "/etc/postfix-out": "-c /etc/postfix-out -x relayhost\n"} {
		if got, err := Ask(t.Context(), dir, "-x", "relayhost"); got != want || err != nil {
			t.Errorf("in %q it was asked with %q, %v, want %q", dir, got, err, want)
		}
	}
}

func TestAskFails(t *testing.T) {
	for script, want := range map[string]string{
		`echo "postconf: fatal: open /etc/postfix/main.cf: No such file or directory" >&2; exit 1`: "postconf: fatal: open /etc/postfix/main.cf: No such file or directory",
		`exit 3`: "postconf -n: exit status 3",
	} {
		fake(t, script)
		if _, err := Ask(t.Context(), "", "-n"); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Ask(t.Context(), "", "-n"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("without postconf: %v", err)
	}
}

// TestAskHangs: the error states it, also where a child has the output for longer.
func TestAskHangs(t *testing.T) {
	fake(t, "/bin/sleep 3600")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Ask(ctx, "", "-n"); !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "postconf -n: no answer in time: ") {
		t.Errorf("%v", err)
	}
}

func TestSettings(t *testing.T) {
	got := Settings("smtpd_milters = { unix:a, default_action=accept }\nrelayhost =\n/unreadable\n# x = y\nlist =\n\ta,\n\n# of others\n  b = c\n")
	want := map[string]string{"smtpd_milters": "{ unix:a, default_action=accept }", "relayhost": "", "list": "a, b = c"}
	if !maps.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestList(t *testing.T) {
	for list, want := range map[string][]string{
		"":                       nil,
		" , \t\r\n":              nil,
		"a, b\tc\n d,":           {"a", "b", "c", "d"},
		"inline:{ a=b, c=d }, e": {"inline:{ a=b, c=d }", "e"},
		"{ unix:x, { y z } } w":  {"{ unix:x, { y z } }", "w"},
	} {
		if got := List(list); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
	}
}
