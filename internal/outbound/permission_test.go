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
	const (
		services = "smtp unix - - y - - smtp\n"
		safe     = "safe unix - - n - 2 smtp -o smtp_tls_security_level=dane\n"
		filter   = services + "scan unix - - n - 2 smtp -o smtp_tls_security_level=none\n"
		filtered = "smtp_tls_security_level = may\ncontent_filter = scan:[127.0.0.1]:10024"
	)
	for name, tt := range map[string]struct{ main, master, reason string }{
		"may":                                      {"smtp_tls_security_level = may", services, ""},
		"of before":                                {"smtp_use_tls = yes", services, ""},
		"of before, and enforced":                  {"smtp_enforce_tls = yes", services, "there is nothing to add"},
		"none":                                     {"", services, "TLS is switched off"},
		"dane":                                     {"smtp_tls_security_level = dane", services, "switch DANE off"},
		"dane in master.cf":                        {"smtp_tls_security_level = may", services + "relay unix - - y - - smtp -o smtp_tls_security_level=dane\n", "relay/unix/smtp_tls_security_level in"},
		"two reasons":                              {"smtp_tls_security_level = dane\ndefault_transport = a", services + "relay unix - - y - - smtp -o smtp_tls_security_level=dane-only\na unix - - y - - smtp -o smtp_tls_security_level=secure\n", "a/unix/smtp_tls_security_level in"},
		"dane in a parameter":                      {"level = dane\nsmtp_tls_security_level = $level", services, "switch DANE off"},
		"a filter":                                 {filtered, filter, ""},
		"a filter of access(5)":                    {"smtp_tls_security_level = may", filter, ""},
		"FILTER to a host":                         {"smtp_tls_security_level = may\nheader_checks = regexp:${config_directory}/filters", "scan unix - - n - 2 smtp -o smtp_tls_security_level=none\n" + services, ""},
		"FILTER":                                   {"smtp_tls_security_level = may\nsmtpd_client_restrictions = check_client_access cidr:${config_directory}/filters, permit", services + safe, "safe/unix/smtp_tls_security_level in"},
		"FILTER of a class":                        {"smtp_tls_security_level = may\nsmtpd_restriction_classes = some\nsome = check_client_access proxy:hash:${config_directory}/filters", services + safe, "safe/unix/smtp_tls_security_level in"},
		"FILTER of master.cf":                      {"smtp_tls_security_level = may", services + safe + "25 inet n - n - - smtpd -o header_checks=pcre:${config_directory}/filters\n", "safe/unix/smtp_tls_security_level in"},
		"a table to a host":                        {"smtp_tls_security_level = may\ntransport_maps = hash:${config_directory}/filters", services + "scan unix - - n - 2 smtp -o smtp_tls_security_level=none\n", ""},
		"a filter, not in a table":                 {filtered + "\ntransport_maps = hash:${config_directory}/other", filter, ""},
		"a filter, and SQL":                        {filtered + "\ntransport_maps = proxy:mysql:${config_directory}/sql", filter, ""},
		"SQL":                                      {"smtp_tls_security_level = may\ntransport_maps = proxy:mysql:${config_directory}/sql", filter, "scan/unix/smtp_tls_security_level in"},
		"a table that is not there":                {"smtp_tls_security_level = may\ntransport_maps = hash:/does/not/exist", filter, "scan/unix/smtp_tls_security_level in"},
		"in a table":                               {filtered + "\ntransport_maps = inline:{a=b} proxy:hash:${config_directory}/routes", filter, "scan/unix/smtp_tls_security_level in"},
		"in a table by sender":                     {filtered + "\nsender_dependent_default_transport_maps = texthash:${config_directory}/routes", filter, "scan/unix/smtp_tls_security_level in"},
		"in a table of master.cf":                  {filtered, filter + "rewrite unix - - y - - trivial-rewrite -o { transport_maps = regexp:${config_directory}/routes }\n", "scan/unix/smtp_tls_security_level in"},
		"a filter at another site":                 {"smtp_tls_security_level = may\ncontent_filter = scan:scan.test", filter, "scan/unix/smtp_tls_security_level in"},
		"a filter, for its domain":                 {"smtp_tls_security_level = may\ncontent_filter = scan:", filter, "scan/unix/smtp_tls_security_level in"},
		"a filter at a port":                       {"smtp_tls_security_level = may\ncontent_filter = scan:localhost:10024", filter, ""},
		"mailboxes elsewhere":                      {"smtp_tls_security_level = may\nvirtual_transport = scan:store.test", filter, "scan/unix/smtp_tls_security_level in"},
		"mailboxes at a host":                      {"smtp_tls_security_level = may\nvirtual_transport = scan:[store.test]", filter, ""},
		"mailboxes at two hosts":                   {"smtp_tls_security_level = may\nvirtual_transport = scan:[store.test]\ntransport_maps = hash:${config_directory}/other", filter, ""},
		"and some at another site":                 {"smtp_tls_security_level = may\nvirtual_transport = scan:[store.test]\ntransport_maps = hash:${config_directory}/hops", filter, "scan/unix/smtp_tls_security_level in"},
		"a filter, not by the hops":                {filtered + "\ntransport_maps = hash:${config_directory}/hops", filter, ""},
		"what local(8) passes on":                  {"smtp_tls_security_level = may\nmailbox_transport = scan", filter, "scan/unix/smtp_tls_security_level in"},
		"a table of local(8)'s":                    {"smtp_tls_security_level = may\nfallback_transport_maps = hash:${config_directory}/routes", filter, "scan/unix/smtp_tls_security_level in"},
		"the usual way":                            {filtered + "\ndefault_transport = scan:[192.0.2.1]", filter, "scan/unix/smtp_tls_security_level in"},
		"the way of relay_domains":                 {filtered + "\nrelay_transport = $content_filter", filter, "scan/unix/smtp_tls_security_level in"},
		"dane, by a parameter that master.cf sets": {"level = may\nsmtp_tls_security_level = $level", services + "relay unix - - y - - smtp -o level=dane\n", "relay/unix/smtp_tls_security_level in"},
		"of before, in capitals":                   {"smtp_use_tls = YES", services, ""},
		"dane, by master.cf's name":                {"smtp_tls_security_level = may\nrelay_level = dane", services + "relay unix - - y - - smtp -o smtp_tls_security_level=$relay_level\n", "relay/unix/smtp_tls_security_level in"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := configuration(t, map[string]string{
				"main.cf": "compatibility_level = 3.6\n" + tt.main + "\n", "master.cf": tt.master,
				"other": "# b.test scan:\na.test smtp:[c.test]\nd.test :[d.test]\ne.test :\n", "hops": "a.test :\nb.test :other.test\n", "routes": "a.test smtp:\nb.test scan:\n", "sql": "dbname = routes\n",
				"filters": "# a FILTER smtp:\n/a/ FILTER scan:[127.0.0.1]:10024\n192.0.2.1 filter safe:\n",
			})
			got := PermissionOf(t.Context(), []string{dir})
			if got.Allowed != (tt.reason == "") || !strings.Contains(got.Reason, tt.reason) {
				t.Errorf("%+v, want %q", got, tt.reason)
			}
		})
	}
}

// TestSeveralInstances: of each the strictest counts, and one that can't be read forbids.
func TestSeveralInstances(t *testing.T) {
	if err := posttest.Require(); err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, text := range []string{"smtp_tls_loglevel = 0\ninfo_log_address_format = internal", "smtp_tls_loglevel = 1"} {
		dirs = append(dirs, configuration(t, map[string]string{"main.cf": "compatibility_level = 3.6\nsmtp_tls_security_level = may\n" + text + "\n", "master.cf": ""}))
	}
	if p := PermissionOf(t.Context(), dirs); !p.Allowed || p.Unlogged != "smtp_tls_loglevel in "+dirs[0] || !p.Unquoted || p.Unread {
		t.Errorf("%+v", p)
	}
	p := PermissionOf(t.Context(), append(dirs, dirs[0]+"/none"))
	if p.Allowed || !p.Unread || !strings.HasPrefix(p.Reason, "the settings in "+dirs[0]+"/none can't be read: ") {
		t.Errorf("%+v", p)
	}
}

// configuration writes the files of an instance.
func configuration(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// Postfix waits until a file that was written just now is finished.
		past := time.Now().Add(-time.Minute)
		if err := os.Chtimes(filepath.Join(dir, file), past, past); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestSettingsOfMasterCf: what master.cf sets for a service counts too.
func TestSettingsOfMasterCf(t *testing.T) {
	if err := posttest.Require(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		main, master string
		want         Permission
	}{
		{"relayhost = Hub.test\nsmtp_tls_loglevel = 1", "relay unix - - y - - smtp -o smtp_fallback_relay=[Last.test]:26\nscan unix - - n - - smtp -o smtp_tls_loglevel=0",
			Permission{Allowed: true, Relays: []string{"hub.test", "out.test", "last.test"}, Fallbacks: []string{"[last.test]:26"}}},
		{"smtp_fallback_relay = a.test", "relay unix - - y - - smtp -o smtp_fallback_relay=", Permission{Allowed: true, Unlogged: "smtp_tls_loglevel in DIR", Relays: []string{"out.test", "a.test"}, Fallbacks: []string{"a.test"}}},
		{"smtp_tls_loglevel = 1", "relay unix - - y - - smtp -o smtp_tls_loglevel=0", Permission{Allowed: true, Unlogged: "relay/unix/smtp_tls_loglevel in DIR", Relays: []string{"out.test"}}},
		{"smtp_tls_loglevel = 1\ninfo_log_address_format = internal", "", Permission{Allowed: true, Unquoted: true, Relays: []string{"out.test"}}},
	} {
		dir := configuration(t, map[string]string{"main.cf": "compatibility_level = 3.6\nmyhostname = Out.test\nsmtp_tls_security_level = may\n" + tt.main + "\n", "master.cf": tt.master + "\n"})
		tt.want.Unlogged = strings.Replace(tt.want.Unlogged, "DIR", dir, 1)
		if got := PermissionOf(t.Context(), []string{dir}); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", tt.want) {
			t.Errorf("%+v, want %+v", got, tt.want)
		}
	}
}
