package outbound

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlsratchet/test/posttest"
)

// Relays are the hosts as smtp(8) logs them.
func TestRelays(t *testing.T) {
	for relayhost, want := range map[string]string{
		"": "[]", "[Relay.test]:587": "[relay.test]", "relay.test:25": "[relay.test]", "relay.test": "[relay.test]",
		"[2001:db8::1]:25": "[2001:db8::1]", "[IPv6:2001:db8::1]": "[2001:db8::1]", "[a.test]:25, [b.test] c.test": "[a.test b.test c.test]",
	} {
		if got := fmt.Sprint(hostsOf(hops(relayhost))); got != want {
			t.Errorf("%q: %s, want %s", relayhost, got, want)
		}
	}
}

// The strictest level counts, wherever it stands and however it is written.
func TestPermission(t *testing.T) {
	if err := posttest.Require(); err != nil {
		t.Fatal(err)
	}
	const services = "smtp unix - - y - - smtp\n"
	for name, tt := range map[string]struct{ main, master, reason string }{
		"may":                       {"smtp_tls_security_level = may", services, ""},
		"of before":                 {"smtp_use_tls = yes", services, ""},
		"none":                      {"", services, "TLS is switched off"},
		"dane":                      {"smtp_tls_security_level = dane", services, "switch DANE off"},
		"dane in master.cf":         {"smtp_tls_security_level = may", services + "relay unix - - y - - smtp -o smtp_tls_security_level=dane\n", "relay/unix/smtp_tls_security_level in"},
		"two reasons":               {"smtp_tls_security_level = dane", services + "relay unix - - y - - smtp -o smtp_tls_security_level=dane-only\na unix - - y - - smtp -o smtp_tls_security_level=secure\n", "a/unix/smtp_tls_security_level in"},
		"dane in a parameter":       {"level = dane\nsmtp_tls_security_level = $level", services, "switch DANE off"},
		"dane, by master.cf's name": {"smtp_tls_security_level = may\nrelay_level = dane", services + "relay unix - - y - - smtp -o smtp_tls_security_level=$relay_level\n", "relay/unix/smtp_tls_security_level in"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range map[string]string{"main.cf": "compatibility_level = 3.6\n" + tt.main + "\n", "master.cf": tt.master} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				// Postfix waits until a file that was written just now is finished.
				past := time.Now().Add(-time.Minute)
				if err := os.Chtimes(filepath.Join(dir, file), past, past); err != nil {
					t.Fatal(err)
				}
			}
			got := PermissionOf(t.Context(), []string{dir})
			if got.Allowed != (tt.reason == "") || !strings.Contains(got.Reason, tt.reason) {
				t.Errorf("%+v, want %q", got, tt.reason)
			}
		})
	}
}
