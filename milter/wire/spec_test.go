package wire

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseSpec(t *testing.T) {
	for _, test := range []struct {
		text string
		want Spec
	}{
		{"unix:/run/tlsratchet/milter", Spec{NetworkUnix, "/run/tlsratchet/milter"}},
		{"local:/run/m", Spec{NetworkUnix, "/run/m"}},
		{"inet:127.0.0.1:8891", Spec{NetworkTCP4, "127.0.0.1:8891"}},
		{"inet:0.0.0.0:8891", Spec{NetworkTCP4, "0.0.0.0:8891"}},
		{"inet:localhost:8891", Spec{NetworkTCP, "localhost:8891"}},
		{"inet:8891@localhost", Spec{NetworkTCP, "localhost:8891"}},
		{"inet:8891@127.0.0.1", Spec{NetworkTCP4, "127.0.0.1:8891"}},
		{"inet:[::1]:8891", Spec{NetworkTCP6, "[::1]:8891"}},
		{"inet6:[::1]:8891", Spec{NetworkTCP6, "[::1]:8891"}},
		{"inet6:8891@::1", Spec{NetworkTCP6, "[::1]:8891"}},
		{"inet6:8891@[::1]", Spec{NetworkTCP6, "[::1]:8891"}},
		{"inet6:localhost:8891", Spec{NetworkTCP6, "localhost:8891"}},
		{"systemd", Spec{Network: NetworkSystemd}},
	} {
		got, err := ParseSpec(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.text, diff)
		}
	}
}

func TestParseSpecRefuses(t *testing.T) {
	for text, why := range map[string]string{
		"":                                  "want unix:/path, inet:host:port or systemd",
		"/run/m":                            "want unix:/path, inet:host:port or systemd",
		"tcp:127.0.0.1:1":                   "unknown kind",
		"unix:":                             "must be absolute",
		"unix:m":                            "must be absolute",
		"unix:/run/":                        "names a directory",
		"unix:/run/\x00m":                   "holds a NUL",
		"unix:/" + strings.Repeat("x", 107): "has 108 bytes, a socket's can have 107",
		"inet:8891":                         "want host:port",
		"inet::8891":                        "no host",
		"inet:8891@":                        "no host",
		"inet:::1:8891":                     "IPv6 in brackets",
		"inet:localhost:milter":             "must be a number",
		"inet:localhost:65536":              "must be a number",
		"inet:localhost:-1":                 "must be a number",
		"inet:localhost:":                   "must be a number",
		"inet:0@@":                          "the host holds a character",
		"inet:mx here:1":                    "the host holds a character",
		"inet6:127.0.0.1:1":                 "an IPv4 address under inet6:",
	} {
		_, err := ParseSpec(text)
		if !errors.Is(err, ErrSpec) || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: got %v, want %q", text, err, why)
		}
	}
}

// What is read is written so that it reads the same.
func FuzzParseSpec(f *testing.F) {
	for _, s := range []string{"systemd", "unix:/run/m", "inet:127.0.0.1:1", "inet6:1@::1", "inet:[::1%lo]:1", "inet:@:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		spec, err := ParseSpec(text)
		if err != nil {
			return
		}
		again, err := ParseSpec(spec.String())
		if err != nil || again != spec {
			t.Errorf("%q is %+v, %q is %+v (%v)", text, spec, spec, again, err)
		}
	})
}
