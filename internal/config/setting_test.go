package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestEveryVariableSetsItsKey, and no other.
func TestEveryVariableSetsItsKey(t *testing.T) {
	table := []struct{ variable, value, want string }{
		{"TLSRATCHET_LISTEN", "systemd, unix:/m.sock", `listen = ["systemd", "unix:/m.sock"]`},
		{"TLSRATCHET_HISTORY", "/h.db", `history = "/h.db"`},
		{"TLSRATCHET_HEADER", "all", `header = "all"`},
		{"TLSRATCHET_EXEMPT_NETWORKS", "10.0.0.0/8,fd00::/8", `exempt_networks = ["10.0.0.0/8", "fd00::/8"]`},
		{"TLSRATCHET_JUDGE_NETWORKS", "10.7.0.0/16", `judge_networks = ["10.7.0.0/16"]`},
		{"TLSRATCHET_PLAIN_LISTENERS", "10025", `plain_listeners = ["10025"]`},
		{"TLSRATCHET_POLICY_SERVICE_LISTEN", "inet:127.0.0.1:8893", `listen = ["inet:127.0.0.1:8893"]`},
		{"TLSRATCHET_EXEMPT_RECIPIENTS", "help", `exempt_recipients = ["help"]`},
		{"TLSRATCHET_SOCKET_MODE", "0600", `mode = "0600"`},
		{"TLSRATCHET_SOCKET_GROUP", "postfix", `group = "postfix"`},
		{"TLSRATCHET_LOG_FORMAT", "json", `format = "json"`},
		{"TLSRATCHET_LOG_LEVEL", "debug", `level = "debug"`},
		{"TLSRATCHET_LIMITS_CONNECTIONS", "9", `connections = 9`},
		{"TLSRATCHET_LIMITS_IDLE_SECONDS", "61", `idle_seconds = 61`},
		{"TLSRATCHET_LIMITS_DRAIN_SECONDS", "0", `drain_seconds = 0`},
		{"TLSRATCHET_LIMITS_READ_MILLISECONDS", "99", `read_milliseconds = 99`},
		{"TLSRATCHET_LIMITS_CACHE", "1000", `cache = 1000`},
		{"TLSRATCHET_LIMITS_IDENTITIES", "5000", `identities = 5000`},
		{"TLSRATCHET_REPLY_CONTACT", "https://bank.example", `contact = "https://bank.example"`},
		{"TLSRATCHET_POLICY_STRIPPED", "reject", `stripped = "reject"`},
		{"TLSRATCHET_POLICY_WEAKENED", "observe", `weakened = "observe"`},
		{"TLSRATCHET_POLICY_UNAUTHENTICATED", "header", `unauthenticated = "header"`},
		{"TLSRATCHET_POLICY_PIN_CERTIFICATES", "key", `pin_certificates = "key"`},
		{"TLSRATCHET_POLICY_PIN_AFTER_DAYS", "1", `pin_after_days = 1`},
		{"TLSRATCHET_POLICY_PIN_MAX_AGE_DAYS", "90", `pin_max_age_days = 90`},
		{"TLSRATCHET_POLICY_RELEASE_AFTER_DAYS", "2", `release_after_days = 2`},
		{"TLSRATCHET_POLICY_RELAX_AFTER_DAYS", "7", `relax_after_days = 7`},
		{"TLSRATCHET_POLICY_PIN_UP_TO", "weak", `pin_up_to = "weak"`},
		{"TLSRATCHET_POLICY_DOMAIN_ENFORCE", "always", `domain_enforce = "always"`},
		{"TLSRATCHET_BREAKER_DOMAINS", "20", `domains = 20`},
		{"TLSRATCHET_BREAKER_WINDOW_SECONDS", "60", `window_seconds = 60`},
		{"TLSRATCHET_BREAKER_PIN_DAYS", "0", `pin_days = 0`},
		{"TLSRATCHET_ADMIN_SOCKET", "off", `socket = "off"`},
		{"TLSRATCHET_ADMIN_GROUP", "wheel", `group = "wheel"`},
		{"TLSRATCHET_SELFCHECK_ADDRESS", "mx.example:25", `address = "mx.example:25"`},
		{"TLSRATCHET_SELFCHECK_EVERY_SECONDS", "10", `every_seconds = 10`},
		{"TLSRATCHET_SHARED", "valkeys://h:1", `shared = "valkeys://h:1"`},
		{"TLSRATCHET_SHARED_PASSWORD_FILE", "/p", `shared_password_file = "/p"`},
		{"TLSRATCHET_SHARED_ROOTS_FILE", "/r.pem", `shared_roots_file = "/r.pem"`},
		{"TLSRATCHET_SHARED_MILLISECONDS", "20", `shared_milliseconds = 20`},
		{"TLSRATCHET_SHARED_INSECURE", "true", `shared_insecure = true`},
		{"TLSRATCHET_SPF", "off", `spf = "off"`},
		{"TLSRATCHET_DNS_RESOLVER", "127.0.0.1", `resolver = "127.0.0.1:53"`},
		{"TLSRATCHET_DNS_TIMEOUT_MILLISECONDS", "100", `timeout_milliseconds = 100`},
		{"TLSRATCHET_STATUS_LISTEN", "off", `listen = "off"`},
		{"TLSRATCHET_ALERT_LOG", "info", `log = "info"`},
		{"TLSRATCHET_ALERT_PER_HOUR", "9", `per_hour = 9`},
		{"TLSRATCHET_OUTBOUND_LISTEN", "unix:/p.sock", `listen = ["unix:/p.sock"]`},
		{"TLSRATCHET_OUTBOUND_LOG", "/var/log/mail.log", `log = "/var/log/mail.log"`},
		{"TLSRATCHET_OUTBOUND_ACTION", "hold", `action = "hold"`},
		{"TLSRATCHET_OUTBOUND_ON_OUTAGE", "release", `on_outage = "release"`},
		{"TLSRATCHET_OUTBOUND_POSTFIX", "/etc/postfix,/etc/postfix-out", `postfix = ["/etc/postfix", "/etc/postfix-out"]`},
		{"TLSRATCHET_OUTBOUND_LEAST", "TLSv1.3", `least = "TLSv1.3"`},
		{"TLSRATCHET_OUTBOUND_PIN_AFTER_DAYS", "1", `pin_after_days = 1`},
		{"TLSRATCHET_OUTBOUND_PIN_MAX_AGE_DAYS", "90", `pin_max_age_days = 90`},
		{"TLSRATCHET_OUTBOUND_RELEASE_AFTER_DAYS", "2", `release_after_days = 2`},
		{"TLSRATCHET_OUTBOUND_RELAX_AFTER_DAYS", "7", `relax_after_days = 7`},
		{"TLSRATCHET_STATUS_NAMES", "Mail.example,mx", `names = ["mail.example", "mx"]`},
	}
	if len(table) != len(settings(&Config{})) {
		t.Errorf("%d variables here, %d keys", len(table), len(settings(&Config{})))
	}
	before := strings.Split(written(t, defaults()), "\n")
	for _, tc := range table {
		env := func(name string) (string, bool) { return tc.value, name == tc.variable }
		c, err := load("", nil, env, Flags{})
		if err != nil {
			t.Errorf("%s: %v", tc.variable, err)
			continue
		}
		var changed []string
		for i, line := range strings.Split(written(t, c), "\n") {
			if line != before[i] {
				changed = append(changed, line)
			}
		}
		if diff := cmp.Diff([]string{tc.want}, changed); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.variable, diff)
		}
	}
}

func TestTextsOfVariables(t *testing.T) {
	for in, want := range map[string]any{
		"": []any{}, "  ": []any{}, "a": []any{"a"}, " a , b": []any{"a", "b"}, "a,": []any{"a", ""}, ",": []any{"", ""},
	} {
		if diff := cmp.Diff(want, commas(in)); diff != "" {
			t.Errorf("commas(%q) (-want +got):\n%s", in, diff)
		}
	}
	for in, want := range map[string]any{
		"5": int64(5), "-5": int64(-5), "05": int64(5), "": "", "5d": "5d", " 5": " 5", "5.0": "5.0", "0x5": "0x5", "99999999999999999999": "99999999999999999999",
	} {
		if got := number(in); got != want {
			t.Errorf("number(%q) = %#v, want %#v", in, got, want)
		}
	}
}

// TestShown: what errors show of a value is short and printable.
func TestShown(t *testing.T) {
	for _, tc := range []struct {
		raw  any
		want string
	}{
		{"", `""`},
		{"a\"b", `"a\"b"`},
		{"\x1b[2J\r\n", `"\x1b[2J\r\n"`},
		{"é\xff", `"\u00e9\xff"`},
		{strings.Repeat("a", 60), `"` + strings.Repeat("a", 60) + `"`},
		{strings.Repeat("a", 61), `"` + strings.Repeat("a", 60) + `"…`},
		{true, "true"},
		{int64(-1), "-1"},
		{1.5, "1.5 (with a point or an exponent)"},
		{1e3, "1000 (with a point or an exponent)"},
		{[]any{"a"}, "a list"},
		{map[string]any{}, "a table"},
		{time.Time{}, "a date or time"},
	} {
		if got := shown(tc.raw); got != tc.want {
			t.Errorf("shown(%#v) = %s, want %s", tc.raw, got, tc.want)
		}
	}
}

func TestQuote(t *testing.T) {
	for _, s := range []string{"", "a", `\`, `"`, `\"`, `a\nb`, "é", "'", "#", `\\"`} {
		doc, broken := parse([]byte("x = " + quote(s)))
		if broken != nil || doc.values["x"] != s {
			t.Errorf("%q is written %s and read %v (%v)", s, quote(s), doc, broken)
		}
	}
}
