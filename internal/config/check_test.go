package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tlsratchet/internal/config"
)

// TestRefusedTogether: what each key allows, and all together don't.
func TestRefusedTogether(t *testing.T) {
	for file, want := range map[string]string{
		"[policy]\npin_max_age_days = 3\n":                                                                     "tlsratchet.toml:1: policy.pin_after_days: 5 is more than pin_max_age_days = 3: nothing would be pinned",
		"[policy]\npin_after_days = 64\npin_max_age_days = 63\n":                                               "tlsratchet.toml:2: policy.pin_after_days: 64 is more than pin_max_age_days = 63: nothing would be pinned",
		"[outbound]\npin_after_days = 64\npin_max_age_days = 63\n":                                             "tlsratchet.toml:2: outbound.pin_after_days: 64 is more than pin_max_age_days = 63: nothing would be pinned",
		"exempt_networks = ['0.0.0.0/1', '128.0.0.0/1']\n":                                                     "tlsratchet.toml:1: exempt_networks: 0.0.0.0/1 exempts a large part of the Internet: name your own networks\ntlsratchet.toml:1: exempt_networks: 128.0.0.0/1 exempts a large part of the Internet: name your own networks",
		"[[peer]]\nnetwork = '::/0'\nexempt = true\n":                                                          "tlsratchet.toml:2: peer.network: ::/0 exempts a large part of the Internet: name your own networks",
		"[[peer]]\ndomain = 'co.uk'\nsubdomains = true\nleast = 'weak'\n":                                      "tlsratchet.toml:2: peer.domain: co.uk is a public suffix, and with its subdomains everybody under it: name a domain below it",
		"[[peer]]\ndomain = 'co.uk'\nsubdomains = true\nexempt = true\n":                                       "tlsratchet.toml:2: peer.domain: co.uk is a public suffix, and with its subdomains everybody under it: name a domain below it",
		"[[peer]]\nsender = 'co.uk'\nsubdomains = true\nleast = 'weak'\n":                                      "tlsratchet.toml:2: peer.sender: co.uk is a public suffix, and with its subdomains everybody under it: name a domain below it",
		"[[send]]\ndomain = 'co.uk'\nsubdomains = true\naction = 'hold'\n":                                     "tlsratchet.toml:2: send.domain: co.uk is a public suffix, and with its subdomains everybody under it: name a domain below it",
		"listen = ['unix:/run/a.sock']\n[policy_service]\nlisten = ['unix:/run/b.sock', 'unix:/run/a.sock']\n": "tlsratchet.toml:3: policy_service.listen: unix:/run/a.sock is already the address of listen",
		"listen = ['unix:/run/policy.sock']\n":                                                                 "tlsratchet.toml:1: listen: unix:/run/policy.sock is already the address of outbound.listen",
		"listen = ['unix:/run/a.sock']\n[admin]\nsocket = '/run/a.sock'\n":                                     "tlsratchet.toml:3: admin.socket: unix:/run/a.sock is already the address of listen",
		"listen = ['inet:127.0.0.1:8']\n[status]\nlisten = '127.0.0.1:8'\n":                                    "tlsratchet.toml:3: status.listen: inet:127.0.0.1:8 is already the address of listen",
		strings.Repeat("a", 10) + strings.Repeat(".a", 100_000) + " = 1\n":                                     "tlsratchet.toml:1: " + "unknown",
	} {
		_, err := config.Load(write(t, file), nil, config.Flags{})
		if strings.HasSuffix(want, "unknown") {
			if err == nil || len(err.Error()) > 2000 {
				t.Errorf("a key of 100,000 parts: an error of %d bytes", len(fmt.Sprint(err)))
			}
			continue
		}
		if err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", file, err, want)
		}
	}
}

// TestWarnings: what may be meant.
func TestWarnings(t *testing.T) {
	for _, tc := range []struct{ file, want string }{
		{"", ""},
		{"[[peer]]\ndomain = 'bank.example'\nleast = 'weak'\n", ""},
		{"[policy]\npin_certificates = 'key'\n", "tlsratchet.toml:2: policy.pin_certificates: a milter never gets fingerprints of certificates: set policy_service.listen, see docs/policy-service.md"},
		{"[[peer]]\ndomain = 'bank.example'\nfingerprint = ['00112233445566778899aabbccddeeff']\n",
			"tlsratchet.toml:3: peer.fingerprint: a milter never gets fingerprints of certificates: set policy_service.listen, see docs/policy-service.md"},
		{"[policy_service]\nlisten = ['unix:/run/p.sock']\n[policy]\npin_certificates = 'key'\n", ""},
		{"[[peer]]\ndomain = 'com'\nexempt = true\n", "tlsratchet.toml:2: peer.domain: com is a public suffix: those below it are strangers to each other"},
		{"[[peer]]\ndomain = 'github.io'\nsubdomains = true\nexempt = true\n", "tlsratchet.toml:2: peer.domain: github.io is a public suffix: those below it are strangers to each other"},
		{"[[peer]]\ndomain = 'bank.example'\nleast = 'TLSv1.2'\n[[peer]]\nnetwork = '192.0.2.0/24'\naction = 'observe'\n",
			"tlsratchet.toml:5: peer.network: 192.0.2.0/24 goes before the row of bank.example: its clients need not reach least = \"TLSv1.2\""},
		{"[[peer]]\nnetwork = '192.0.2.0/24'\nleast = 'TLSv1.2'\n[[peer]]\nnetwork = '192.0.2.128/25'\nexempt = true\n",
			"tlsratchet.toml:5: peer.network: 192.0.2.128/25 goes before the row of 192.0.2.0/24: its clients need not reach least = \"TLSv1.2\""},
		{"exempt_networks = ['192.0.2.128/25']\n[[peer]]\nnetwork = '192.0.2.0/24'\nleast = 'TLSv1.2'\n",
			"tlsratchet.toml:1: exempt_networks: 192.0.2.128/25 goes before the row of 192.0.2.0/24: its clients need not reach least = \"TLSv1.2\""},
		{"[[peer]]\nnetwork = '192.0.2.0/24'\nleast = 'weak'\n[[peer]]\nnetwork = '192.0.2.128/25'\nleast = 'TLSv1.2'\n", ""},
		{"[[peer]]\nnetwork = '192.0.2.0/24'\nleast = 'weak'\n[[peer]]\nnetwork = '192.0.2.128/25'\nleast = 'weak'\n", ""},
	} {
		if got := strings.Join(load(t, tc.file).Warnings(), "\n"); got != tc.want {
			t.Errorf("%s\ngot  %s\nwant %s", tc.file, got, tc.want)
		}
	}
}

// TestManyKeys: 100,000 keys are refused before the work grows, and as many rows
// as anybody has are read.
func TestManyKeys(t *testing.T) {
	var dotted, rows strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&dotted, "a.b%d.c = 1\n", i)
	}
	_, err := config.Load(write(t, dotted.String()), nil, config.Flags{})
	if err == nil || len(err.Error()) > 1000 {
		t.Errorf("an error of %d bytes", len(fmt.Sprint(err)))
	}
	const peers = 4000
	for i := range peers {
		fmt.Fprintf(&rows, "[[peer]]\ndomain = 'd%d.example'\nleast = 'weak'\n", i)
	}
	if c := load(t, rows.String()); len(c.Peers) != peers {
		t.Errorf("%d rows", len(c.Peers))
	}
}

// TestVariables: a variable with our prefix that nobody reads is warned of.
func TestVariables(t *testing.T) {
	c := load(t, "[[destination]]\nkind = 'webhook'\nurl = 'env:TLSRATCHET_HOOK'\n")
	c.CheckVariables([]string{
		"PATH=/bin", "TLSRATCHET_HISTORY=/x", "TLSRATCHET_POLICY_STRIPED=reject", "TLSRATCHET_CONFIG=none",
		"TLSRATCHET_SHARED_PASSWORD=x", "TLSRATCHET_HOOK=https://x.example", "XTLSRATCHET_A=1",
		// Of a service that is called tlsratchet, and of its page.
		"TLSRATCHET_SERVICE_HOST=10.96.0.7", "TLSRATCHET_SERVICE_PORT=8893", "TLSRATCHET_SERVICE_PORT_MILTER=8893",
		"TLSRATCHET_PORT=tcp://10.96.0.7:8893", "TLSRATCHET_PORT_8893_TCP=tcp://10.96.0.7:8893", "TLSRATCHET_PORT_8893_TCP_PROTO=tcp",
		"TLSRATCHET_PORT_8893_TCP_PORT=8893", "TLSRATCHET_PORT_8893_TCP_ADDR=10.96.0.7", "TLSRATCHET_PAGE_SERVICE_HOST=10.96.0.8",
	}, "TLSRATCHET_CONFIG")
	if want := []string{`the variable "TLSRATCHET_POLICY_STRIPED" is ignored: no key has this name`}; !slices.Equal(c.Warnings(), want) {
		t.Errorf("%q, want %q", c.Warnings(), want)
	}
}
