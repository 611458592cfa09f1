package config

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"tlsratchet/milter/wire"
	"tlsratchet/tlsstate"
)

// accepts holds that a form takes each text, and what it makes of it. What is
// refused, and in what words, is in TestBadFiles.
func accepts[V comparable](t *testing.T, parse func(string) (V, error), want map[string]V) {
	t.Helper()
	for s, v := range want {
		if got, err := parse(s); err != nil || got != v {
			t.Errorf("%q: got %v, %v; want %v", s, got, err, v)
		}
	}
}

func refuses[V comparable](t *testing.T, parse func(string) (V, error), texts ...string) {
	t.Helper()
	for _, s := range texts {
		if got, err := parse(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, got)
		}
	}
}

func TestListeners(t *testing.T) {
	long := "/" + strings.Repeat("a", maxSocketPath-1)
	accepts(t, listener(wire.NetworkSystemd), map[string]wire.Spec{
		"systemd":                    {Network: wire.NetworkSystemd},
		"unix:/run/m.sock":           {Network: wire.NetworkUnix, Address: "/run/m.sock"},
		"unix://run/x/../m.sock":     {Network: wire.NetworkUnix, Address: "/run/m.sock"},
		"unix:/run/with space:colon": {Network: wire.NetworkUnix, Address: "/run/with space:colon"},
		"unix:/run/ümlaut":           {Network: wire.NetworkUnix, Address: "/run/ümlaut"},
		"unix:" + long:               {Network: wire.NetworkUnix, Address: long},
		"inet:127.0.0.1:1":           {Network: wire.NetworkTCP, Address: "127.0.0.1:1"},
		"inet:0.0.0.0:65535":         {Network: wire.NetworkTCP, Address: "0.0.0.0:65535"},
		"inet:[2001:DB8::0:1]:25":    {Network: wire.NetworkTCP, Address: "[2001:db8::1]:25"},
		"inet:[fe80::1%eth0]:25":     {Network: wire.NetworkTCP, Address: "[fe80::1%eth0]:25"},
		"inet:LOCALHOST:25":          {Network: wire.NetworkTCP, Address: "localhost:25"},
	})
	refuses(t, listener(wire.NetworkSystemd),
		"", "unix", "unix:", "unix:m.sock", "unix:./m.sock", "unix:/..", "unix:"+long+"a", "unix:/a\x00b", "unix:/a\u0085b",
		"inet:", "inet::", "inet::25", "inet:25", "inet:a:", "inet:a:smtp", "inet:a:-1", "inet:a:+1", "inet:::1:25", "inet:[::1]",
		"inet:a b:25", "inet:*:25", "inet:1.2.3:25", "inet:[fe80::1%\x01]:25",
		"local:/run/m.sock", "tcp:a:25", "/run/m.sock", "Systemd", " systemd")
}

func TestListenersSpellThemselves(t *testing.T) {
	for _, s := range []string{"unix:/run/m.sock", "inet:127.0.0.1:8891", "inet:[::1]:8891", "systemd"} {
		if l, err := listener(wire.NetworkSystemd)(s); err != nil || l.String() != s {
			t.Errorf("%s came back as %s, %v", s, l, err)
		}
	}
}

func TestHistories(t *testing.T) {
	parseHistory := or(parsePath, "", Memory)
	accepts(t, parseHistory, map[string]string{
		"memory": "memory", "/h": "/h", "/var/lib//x/./h.db": "/var/lib/x/h.db", "/memory": "/memory",
	})
	refuses(t, parseHistory, "", "Memory", "./memory", "h.db", "/", "//", "/a\nb", "/\xff")
}

func TestFlagPathsAreSeenFromHere(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for in, want := range map[string]string{"memory": "memory", "/a/../b": "/b", "x.db": filepath.Join(dir, "x.db")} {
		if c, err := Load("", nil, Flags{"history": in}); err != nil || c.History != want {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}

func TestModesAndGroups(t *testing.T) {
	for in, want := range map[string]string{"0600": "0600", "660": "0660", "0777": "0777", "00660": "0660"} {
		if m, err := parseMode(in); err != nil || showMode(m) != want {
			t.Errorf("%q: got %s, %v; want %s", in, showMode(m), err, want)
		}
	}
	refuses(t, parseMode, "", "0", "0o660", "rw-rw----", "0577", "0460", "0260", "1777", "-660", "0668", "77777777777777777777")
	accepts(t, parseGroup, map[string]string{"": "", "postfix": "postfix", "_x-1": "_x-1", "1001": "1001", `dom\users`: `dom\users`})
	refuses(t, parseGroup, "a b", "a:b", "a/b", "grüppe", "a\x00", strings.Repeat("g", 65))
}

func TestLevels(t *testing.T) {
	parseLogLevel := func(s string) (slog.Level, error) { return logLevel().parse(s) }
	accepts(t, parseLogLevel, map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	})
	refuses(t, parseLogLevel, "", "Info", "info+1", "warning", "trace", "0")
	accepts(t, parseLevel, map[string]tlsstate.Level{
		"weak": tlsstate.Weak, "TLSv1.2": tlsstate.TLS12, "tlsv1.2": tlsstate.TLS12, "TLSv1.3": tlsstate.TLS13,
	})
	refuses(t, parseLevel, "", "none", "NONE", "plaintext", "TLS1.2", "TLSv1", "2")
}

func TestNetworks(t *testing.T) {
	accepts(t, parseNetwork, map[string]netip.Prefix{
		"192.0.2.0/24":     netip.MustParsePrefix("192.0.2.0/24"),
		"192.0.2.1/32":     netip.MustParsePrefix("192.0.2.1/32"),
		"0.0.0.0/0":        netip.MustParsePrefix("0.0.0.0/0"), // too wide for a row; see tlsstate
		"2001:DB8:0::0/32": netip.MustParsePrefix("2001:db8::/32"),
	})
	refuses(t, parseNetwork, "", "/", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2/24", "192.0.2.0/255.255.255.0",
		"192.0.2.1/24", "2001:db8::1/64", "::ffff:192.0.2.0/120", "fe80::%eth0/64", "fe80::1%eth0", "bank.example", "*")
	accepts(t, parseExemptNetwork, map[string]netip.Prefix{"0.0.0.0/1": netip.MustParsePrefix("0.0.0.0/1")})
	refuses(t, parseExemptNetwork, "0.0.0.0/0", "::/0", "10.0.0.1/8", "mynetworks")
}

func TestRecipients(t *testing.T) {
	accepts(t, parseRecipient, map[string]string{
		"postmaster":            "postmaster",
		"Abuse":                 "abuse",
		"abuse@Bank.Example.":   "abuse@bank.example",
		"a+b=c@bank.example":    "a+b=c@bank.example",
		"Ümlaut":                "ümlaut",
		"a@b@bank.example":      "a@b@bank.example",
		"root@localhost":        "root@localhost",
		"x@xn--bnk-qla.example": "x@xn--bnk-qla.example",
	})
	refuses(t, parseRecipient, "", "@", "a@", "@bank.example", "a b", "<a@bank.example>", "a,b", "a\nb", "\xff",
		"a@*", "a@bänk.example", "a@[192.0.2.1]", "a@192.0.2.1", strings.Repeat("a", 321))
}

func TestContacts(t *testing.T) {
	accepts(t, parseContact, map[string]string{
		"":                                "",
		"https://bank.example/tls?a=50%":  "https://bank.example/tls?a=50%",
		"postmaster@bank.example":         "postmaster@bank.example",
		strings.Repeat("c", 200):          strings.Repeat("c", 200),
		"see https://bank.example or ask": "see https://bank.example or ask",
	})
	refuses(t, parseContact, "a\tb", "a\x7f", "é", "\xff", strings.Repeat("c", 201))
}

func TestDomains(t *testing.T) {
	label := strings.Repeat("a", 63)
	longest := strings.Repeat(label+".", 3) + strings.Repeat("a", 61)
	accepts(t, parseDomain, map[string]string{
		"bank.example":     "bank.example",
		"BANK.Example.":    "bank.example",
		"host":             "host",
		"xn--bnk-qla.test": "xn--bnk-qla.test",
		"_mta.bank.test":   "_mta.bank.test",
		"1.2.3.arpa":       "1.2.3.arpa",
		"3com.example":     "3com.example",
		longest:            longest,
		longest + ".":      longest,
	})
	refuses(t, parseDomain, "", ".", "..", "a..b", ".a", "a..", "-a.test", "a-.test", "a b.test", "a/b", "a@b", "a:25",
		label+"a.test", longest+"a", "192.0.2.1", "::1", "[::1]", "1.2.3", "*", "*.test", "a.*.test", "bänk.test", "a\x00.test", "\xff")
}
