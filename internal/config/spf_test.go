package config

import (
	"net/netip"
	"testing"
)

func TestParseResolver(t *testing.T) {
	for s, want := range map[string]string{
		"system":                "system",
		"127.0.0.1:5353":        "127.0.0.1:5353",
		"127.0.0.1":             "127.0.0.1:53",
		"::1":                   "[::1]:53",
		"[::1]":                 "[::1]:53",
		"[2001:DB8::1]:5353":    "[2001:db8::1]:5353",
		"::ffff:192.0.2.1":      "192.0.2.1:53",
		"fe80::1%eth0":          "[fe80::1%eth0]:53",
		"":                      "",
		"localhost":             "",
		"localhost:53":          "",
		"127.0.0.1:0":           "",
		"127.0.0.1:":            "",
		"127.0.0.1:70000":       "",
		"0.0.0.0:53":            "",
		"::":                    "",
		"fe80::1%eth0\x7f":      "",
		"127.0.0.1:53,::1":      "",
		"inet:127.0.0.1:53":     "",
		"System":                "",
		"\x7f":                  "",
		"[fe80::1%a\nb]:53":     "",
		"127.0.0.1:53\n":        "",
		"https://192.0.2.1/dns": "",
	} {
		ap, err := parseResolver(s)
		if (err == nil) != (want != "") || err == nil && showResolver(ap) != want {
			t.Errorf("%q: %v, %v; want %q", s, ap, err, want)
		}
		if again, err := parseResolver(want); want != "" && (err != nil || again != ap) {
			t.Errorf("%q comes back as %v, %v", want, again, err)
		}
	}
	if ap, err := parseResolver(systemResolver); err != nil || ap != (netip.AddrPort{}) {
		t.Errorf("the system's is %v, %v", ap, err)
	}
}
