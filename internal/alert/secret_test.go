package alert

import (
	"strings"
	"testing"
)

func TestSecret(t *testing.T) {
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"KEY": "k3y", "EMPTY": "", "LONG": strings.Repeat("x", maxSecret+1), "LINES": "a\r\nb"}[name]
		return v, ok
	}
	long := file(t, "long", strings.Repeat("x", 100_000))
	for _, tt := range []struct{ ref, want, err string }{
		{"", "", ""},
		{"env:KEY", "k3y", ""},
		{"env:NONE", "", "the variable NONE is not set"},
		{"env:EMPTY", "", "the variable EMPTY is empty"},
		{"env:LONG", "", "holds more than 4096 bytes"},
		{"env:LINES", "", "holds characters other than printable ASCII"},
		{"env:", "", "want file:/path or env:NAME"},
		{"k3y", "", "want file:/path or env:NAME"},
		{"file:" + file(t, "a", "k3y"), "k3y", ""},
		{"file:" + file(t, "b", "k3y\n"), "k3y", ""},
		{"file:" + file(t, "c", "k3y\r\n# a comment"), "k3y", ""},
		{"file:" + file(t, "d", "\n"), "", "is empty"},
		{"file:" + long, "", "holds more than 4096 bytes"},
		{"file:/dev/zero", "", "holds more than 4096 bytes"}, // it has no end
		{"file:/nowhere/at/all", "", "no such file"},
	} {
		got, err := secret(tt.ref, env)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: got %q, %v", tt.ref, got, err)
		}
	}
}
