package config_test

import (
	"strings"
	"testing"

	"tlsratchet/internal/config"
)

// TestBadFiles holds what a postmaster reads: file, line, key and what would
// be right.
func TestBadFiles(t *testing.T) {
	const quotes = " (strings need quotes, numbers and true or false none)"
	for _, tc := range []struct{ file, want string }{
		// No TOML.
		{"\nlisten = \n", "2: listen: not in the form of TOML: unexpected character U+000A at start of value" + quotes},
		{"a\n", "1: not in the form of TOML: expected '=' after key"},
		{"[policy]\n[log]\n[policy]\n", "3: not in the form of TOML: table policy already exists"},
		{"header = 'all'\nheader = 'all'\n", "2: header: not in the form of TOML: key header is already defined"},
		{"[policy]\nstripped = temp-fail\n", "2: policy.stripped: not in the form of TOML: expected keyword \"true\"" + quotes},
		{"[limits]\ncache = 99999999999999999999\n", "2: limits.cache: not in the form of TOML: decimal number is too large to fit in a 64-bit signed integer"},
		{"[[peer]]\nleast = 'weak'\nleast = 'weak'\n", "3: peer.least: not in the form of TOML: key least is already defined"},
		{"listen = ['a' 'b']\n", "1: listen: not in the form of TOML: expected ',' or ']' after array value"},
		{"listen = [\n'systemd',\nx]\n", "3: not in the form of TOML: unexpected character U+0078 'x' at start of value"},
		{"\xff", "1: not in the form of TOML: invalid character at start of key: U+00FF 'ÿ'"},

		// Unknown keys.
		{"\nlissten = []\n", "2: lissten: unknown key: did you mean listen?"},
		{"[socket]\nmod = '0660'\n", "2: socket.mod: unknown key: did you mean mode?"},
		{"[[peers]]\n", "1: peers: unknown key: did you mean [[peer]]?"},
		{"[log]\n\nstripped = 'observe'\n", "3: log.stripped: unknown key: stripped belongs in [policy]"},
		{"stripped = 'observe'\n", "1: stripped: unknown key: stripped belongs in [policy]"},
		{"[policy]\naction = 'reject'\n", "2: policy.action: unknown key: in the file it is stripped in [policy]"},
		{"pin-after-days = 3\n", "1: pin-after-days: unknown key: in the file it is pin_after_days in [policy]"},
		{"listen = ['inet:127.0.0.1:19125']\n", "1: listen: inet:127.0.0.1:19125 is already the address of status.listen"},
		{"[admin]\nsocket = '/var/spool/postfix/tlsratchet/policy.sock'\n", "2: admin.socket: unix:/var/spool/postfix/tlsratchet/policy.sock is already the address of outbound.listen"},
		{"[policy]\nlisten = []\n", "2: policy.listen: unknown key: listen belongs at the top, before the first [table]"},
		{"[polcy]\n", "1: polcy: unknown key: did you mean [policy]?"},
		{"[policy.stripped]\n", "1: policy.stripped: want a string in quotes, got a table"},
		{"[log.more]\n", "1: log.more: unknown key: use format, level"},
		{"\"policy.stripped\" = 'observe'\n", "1: \"policy.stripped\": unknown key: use listen, history, header, exempt_networks, judge_networks, plain_listeners, exempt_recipients, spf, shared, shared_password_file, shared_roots_file, shared_milliseconds, shared_insecure, [socket], [log], [limits], [reply], [policy], [policy_service], [outbound], [breaker], [admin], [selfcheck], [status], [dns], [alert], [[peer]], [[send]], [[destination]]"},
		{"policy = 3\n", "1: policy: it is a table: write [policy]"},
		{"[[policy]]\n", "1: policy: it is a table: write [policy]"},
		{"[socket]\n\"\\u001b[2J\" = 1\n", "2: socket.\"\\x1b[2J\": unknown key: use mode, group"},

		{"[policy_service]\nlisten = ['systemd']\n", "2: policy_service.listen: unknown listener \"systemd\": use unix:/path, inet:host:port"},
		{"[outbound]\nlisten = ['systemd']\n", "2: outbound.listen: unknown listener \"systemd\": use unix:/path, inet:host:port, beside"},
		{"[outbound]\nlog = 'syslog'\n", "2: outbound.log: path \"syslog\": want an absolute path of a file, \"journal\" or \"off\""},
		{"[outbound]\npin_after_days = 'x'\n", "2: outbound.pin_after_days: want a whole number from 1 to 64, got \"x\", or \"policy\""},
		{"[[send]]\ndomain = 'a.example'\n", "1: send: sets nothing: add action, least or exempt = true"},
		{"[[send]]\ndomain = 'a.example'\naction = 'tempfail'\n", "3: send.action: unknown value \"tempfail\": use observe, hold"},

		// Wrong types.
		{"listen = 'systemd'\n", "1: listen: want a list of strings, got \"systemd\""},
		{"listen = [\n'systemd',\n1]\n", "1: listen: want a list of strings, got 1 in it"},
		{"header = true\n", "1: header: want a string in quotes, got true"},
		{"header = ['all']\n", "1: header: want a string in quotes, got a list"},
		{"history = 2026-11-01\n", "1: history: want a string in quotes, got a date or time"},
		{"[policy]\npin_after_days = '5'\n", "2: policy.pin_after_days: want a whole number from 1 to 64, got \"5\""},
		{"[policy]\npin_after_days = 5.0\n", "2: policy.pin_after_days: want a whole number from 1 to 64, got 5 (with a point or an exponent)"},
		{"[limits]\nidle_seconds = '1h'\n", "2: limits.idle_seconds: want a whole number from 60 to 86400, got \"1h\""},

		// Numbers out of range.
		{"[policy]\npin_after_days = 0\n", "2: policy.pin_after_days: want a whole number from 1 to 64, got 0"},
		{"[policy]\npin_after_days = 65\n", "2: policy.pin_after_days: want a whole number from 1 to 64, got 65"},
		{"[policy]\npin_max_age_days = 3651\n", "2: policy.pin_max_age_days: want a whole number from 1 to 3650, got 3651"},
		{"[policy]\nrelease_after_days = 1\n", "2: policy.release_after_days: want a whole number from 2 to 64, got 1"},
		{"[policy]\nrelax_after_days = 1\n", "2: policy.relax_after_days: want a whole number from 2 to 64, got 1"},
		{"[limits]\nconnections = 0\n", "2: limits.connections: want a whole number from 1 to 65536, got 0"},
		{"[limits]\nidle_seconds = 59\n", "2: limits.idle_seconds: want a whole number from 60 to 86400, got 59"},
		{"[limits]\ndrain_seconds = -1\n", "2: limits.drain_seconds: want a whole number from 0 to 300, got -1"},
		{"[limits]\nread_milliseconds = 9\n", "2: limits.read_milliseconds: want a whole number from 10 to 10000, got 9"},
		{"[limits]\ncache = 9223372036854775807\n", "2: limits.cache: want a whole number from 100 to 10000000, got 9223372036854775807"},

		// Words that don't exist.
		{"[policy]\nstripped = \"temp-fail\"\n", "2: policy.stripped: unknown action \"temp-fail\": use observe, header, quarantine, tempfail, reject"},
		{"[policy]\npin_up_to = \"TLSv1.1\"\n", "2: policy.pin_up_to: unknown level \"TLSv1.1\": use weak, TLSv1.2, TLSv1.3"},
		{"[policy]\npin_up_to = \"none\"\n", "2: policy.pin_up_to: unknown level \"none\": use weak, TLSv1.2, TLSv1.3"},
		{"[policy]\ndomain_enforce = \"wide\"\n", "2: policy.domain_enforce: unknown value \"wide\": use broad, always, never"},
		{"header = \"none\"\n", "1: header: unknown value \"none\": use downgrade, all"},
		{"[log]\nformat = \"xml\"\n", "2: log.format: unknown value \"xml\": use text, json"},
		{"[log]\nlevel = \"INFO\"\n", "2: log.level: unknown level \"INFO\": use debug, info, warn, error"},

		// Other addresses.
		{"spf = true\n", "1: spf: want a string in quotes, got true"},
		{"spf = 'yes'\n", "1: spf: unknown value \"yes\": use on, off"},
		{"[spf]\nmode = 'off'\n", "1: spf: want a string in quotes, got a table"},
		{"[dns]\nresolver = 'localhost:53'\n", "2: dns.resolver: unknown resolver \"localhost:53\": use an address, as 127.0.0.1:5353 or [::1]:53, or \"system\""},
		{"[dns]\ntimeout_milliseconds = 2001\n", "2: dns.timeout_milliseconds: want a whole number from 100 to 2000, got 2001"},
		{"[selfcheck]\naddress = '25'\n", "2: selfcheck.address: unknown address \"25\": use host:port, as 127.0.0.1:25, or \"off\""},
		{"[selfcheck]\nevery_seconds = 9\n", "2: selfcheck.every_seconds: want a whole number from 10 to 86400, got 9"},
		{"[status]\nlisten = 'unix:/run/s.sock'\n", "2: status.listen: unknown address \"unix:/run/s.sock\": use host:port, as 127.0.0.1:19125, or \"off\""},
		{"[status]\nlisten = '127.0.0.1:0'\n", "2: status.listen: port \"0\": want a number from 1 to 65535, or \"off\""},
		{"[status]\nnames = ['*']\n", "2: status.names: \"*\" is no domain: there are no wildcards, use subdomains = true"},

		// Listeners and files.
		{"listen = []\n", "1: listen: the list is empty: want 1 at least"},
		{"listen = ['tcp:127.0.0.1:25']\n", "1: listen: unknown listener \"tcp:127.0.0.1:25\": use unix:/path, inet:host:port, systemd"},
		{"listen = ['systemd:']\n", "1: listen: unknown listener \"systemd:\": use unix:/path, inet:host:port, systemd"},
		{"listen = ['unix:run/m.sock']\n", "1: listen: path \"run/m.sock\": want an absolute path of a file"},
		{"listen = ['unix:/']\n", "1: listen: path \"/\": want an absolute path of a file"},
		{"listen = [\"unix:/a\\nb\"]\n", "1: listen: path \"/a\\nb\": want one without control characters"},
		{"listen = ['unix:/" + strings.Repeat("a", 107) + "']\n", "1: listen: a socket's path has at most 107 bytes, this one 108"},
		{"listen = ['unix:/run/m.sock', 'unix:/run/./m.sock']\n", "1: listen: unix:/run/m.sock is listed twice: leave one out"},
		{"listen = ['inet:127.0.0.1']\n", "1: listen: unknown address \"127.0.0.1\": use inet:host:port, as inet:127.0.0.1:8891 or inet:[::1]:8891"},
		{"listen = ['inet::8891']\n", "1: listen: unknown address \":8891\": use inet:host:port, as inet:127.0.0.1:8891 or inet:[::1]:8891"},
		{"listen = ['inet:8891@localhost']\n", "1: listen: unknown address \"8891@localhost\": use inet:host:port, as inet:127.0.0.1:8891 or inet:[::1]:8891"},
		{"listen = ['inet:localhost:0']\n", "1: listen: port \"0\": want a number from 1 to 65535"},
		{"listen = ['inet:localhost:65536']\n", "1: listen: port \"65536\": want a number from 1 to 65535"},
		{"history = 'memmory'\n", "1: history: path \"memmory\": want an absolute path of a file, or \"memory\""},
		{"history = ''\n", "1: history: path \"\": want an absolute path of a file, or \"memory\""},
		{"[socket]\nmode = '0888'\n", "2: socket.mode: unknown mode \"0888\": want permissions in octal from \"0600\" to \"0777\", those of the owner among them"},
		{"[socket]\nmode = '0066'\n", "2: socket.mode: unknown mode \"0066\": want permissions in octal from \"0600\" to \"0777\", those of the owner among them"},
		{"[socket]\nmode = '4660'\n", "2: socket.mode: unknown mode \"4660\": want permissions in octal from \"0600\" to \"0777\", those of the owner among them"},
		{"[socket]\ngroup = 'post fix'\n", "2: socket.group: group \"post fix\": want the name or number of a group, or \"\""},

		// Networks, recipients, contact.
		{"exempt_networks = ['192.0.2.1/24']\n", "1: exempt_networks: network \"192.0.2.1/24\" has bits beyond its prefix: use 192.0.2.0/24"},
		{"exempt_networks = ['192.0.2.1']\n", "1: exempt_networks: network \"192.0.2.1\" has no prefix length: use 192.0.2.1/32"},
		{"exempt_networks = ['::1']\n", "1: exempt_networks: network \"::1\" has no prefix length: use ::1/128"},
		{"exempt_networks = ['64:ff9b::/96']\n", "1: exempt_networks: network \"64:ff9b::/96\": write it as IPv4"},
		{"exempt_networks = ['::ffff:10.0.0.0/104']\n", "1: exempt_networks: network \"::ffff:10.0.0.0/104\": write it as IPv4"},
		{"exempt_networks = ['localhost']\n", "1: exempt_networks: unknown network \"localhost\": use the form 192.0.2.0/24 or 2001:db8::/32"},
		{"exempt_networks = ['0.0.0.0/0']\n", "1: exempt_networks: network \"0.0.0.0/0\" exempts everybody: name your own networks"},
		{"exempt_networks = ['10.0.0.0/8', '10.0.0.0/8']\n", "1: exempt_networks: 10.0.0.0/8 is listed twice: leave one out"},
		{"plain_listeners = ['smtp']\n", "1: plain_listeners: unknown port \"smtp\": use a number from 1 to 65535, in quotes"},
		{"exempt_recipients = ['Abuse', 'abuse']\n", "1: exempt_recipients: abuse is listed twice: leave one out"},
		{"exempt_recipients = ['<abuse@bank.example>']\n", "1: exempt_recipients: unknown recipient \"<abuse@bank.example>\": use a local part such as postmaster, or an address"},
		{"exempt_recipients = ['@bank.example']\n", "1: exempt_recipients: unknown recipient \"@bank.example\": use a local part such as postmaster, or an address"},
		{"exempt_recipients = ['abuse@']\n", "1: exempt_recipients: recipient \"abuse@\": \"\" is no domain: want labels of letters, digits and hyphens, as in bank.example"},
		{"[reply]\ncontact = 'Grüße'\n", "2: reply.contact: contact \"Gr\\u00fc\\u00dfe\": want a URL or an address, printable ASCII, at most 200 characters"},
		{"[reply]\ncontact = \"a\\r\\nb\"\n", "2: reply.contact: contact \"a\\r\\nb\": want a URL or an address, printable ASCII, at most 200 characters"},
		{"[reply]\ncontact = '" + strings.Repeat("a", 201) + "'\n", "2: reply.contact: contact \"" + strings.Repeat("a", 60) + "\"…: want a URL or an address, printable ASCII, at most 200 characters"},
	} {
		check(t, tc.file, tc.want)
	}
}

// TestBadPeers begins each row on line 2.
func TestBadPeers(t *testing.T) {
	const everybody = ", and a public server must not require TLS of everybody (RFC 3207 section 4): "
	for _, tc := range []struct{ row, want string }{
		{"", "2: peer: names no peer: set domain, network or sender"},
		{"exempt = true", "2: peer: names no peer: set domain, network or sender"},
		{"domain = 'bank.example'", "2: peer: sets nothing: add action, least or exempt = true"},
		{"domain = 'bank.example'\nexempt = false", "2: peer: sets nothing: add action, least or exempt = true"},
		{"domain = 'bank.example'\nnetwork = '192.0.2.0/24'\nexempt = true", "2: peer: names a domain and a network: make it two rows"},
		{"domain = 'bank.example'\nleast = 'weak'\nexempt = true", "5: peer.exempt: an exempt peer is never judged: leave out action and least"},
		{"network = '192.0.2.0/24'\nsubdomains = true\nexempt = true", "4: peer.subdomains: a network has none: leave it out"},
		{"domain = 'bank.example'\naction = 'refuse'", "4: peer.action: unknown action \"refuse\": use observe, header, quarantine, tempfail, reject"},
		{"domain = 'bank.example'\nleast = 'none'", "4: peer.least: unknown level \"none\": use weak, TLSv1.2, TLSv1.3"},
		{"domain = 'bank.example'\nexempt = 'yes'", "4: peer.exempt: want true or false, got \"yes\""},
		{"domain = 'bank.example'\nleest = 'weak'", "4: peer.leest: unknown key: did you mean least?"},

		// Nobody is everybody.
		{"least = 'weak'\ndomain = 'com'\nsubdomains = true", "4: peer.domain: com with its subdomains is everybody" + everybody + "name a domain below it"},
		{"network = '0.0.0.0/0'\nleast = 'weak'", "3: peer.network: 0.0.0.0/0 is too wide" + everybody + "use a /8 or narrower"},
		{"network = '10.0.0.0/7'\nleast = 'weak'", "3: peer.network: 10.0.0.0/7 is too wide" + everybody + "use a /8 or narrower"},
		{"network = '::/0'\nleast = 'weak'", "3: peer.network: ::/0 is too wide" + everybody + "use a /19 or narrower"},
		{"domain = '*'", "3: peer.domain: \"*\" is no domain: there are no wildcards, use subdomains = true"},
		{"domain = '*.bank.example'", "3: peer.domain: \"*.bank.example\" is no domain: there are no wildcards, use subdomains = true"},
		{"domain = '.'", "3: peer.domain: \".\" is no domain: want labels of letters, digits and hyphens, as in bank.example"},
		{"domain = ''", "3: peer.domain: \"\" is no domain: want labels of letters, digits and hyphens, as in bank.example"},

		// A domain that isn't one.
		{"domain = '.bank.example'", "3: peer.domain: \".bank.example\" is no domain: want labels of letters, digits and hyphens, as in bank.example"},
		{"domain = '-bank.example'", "3: peer.domain: \"-bank.example\" is no domain: want labels of letters, digits and hyphens, as in bank.example"},
		{"domain = 'bank example'", "3: peer.domain: \"bank example\" is no domain: want labels of letters, digits and hyphens, as in bank.example"},
		{"domain = 'info@bank.example'", "3: peer.domain: \"info@bank.example\" is no domain: want labels of letters, digits and hyphens, as in bank.example"},
		{"domain = 'bänk.example'", "3: peer.domain: \"b\\u00e4nk.example\" is no domain: write it in A-labels (xn--…)"},
		{"domain = '192.0.2.1'", "3: peer.domain: \"192.0.2.1\" is no domain: use network for an address"},
		{"domain = '192.0.2.300'", "3: peer.domain: \"192.0.2.300\" is no domain: want labels of letters, digits and hyphens, as in bank.example"},
		{"domain = '" + strings.Repeat("a.", 127) + "a'", "3: peer.domain: \"" + strings.Repeat("a.", 30) + "\"… is no domain: want labels of letters, digits and hyphens, as in bank.example"},
		{"fingerprint = ['AA:BB']", "3: peer.fingerprint: unknown fingerprint \"AA:BB\": want 16 to 64 bytes as hexadecimal digits, with colons or without, as Postfix logs it"},
		{"network = 'bank.example'", "3: peer.network: unknown network \"bank.example\": use the form 192.0.2.0/24 or 2001:db8::/32"},
		{"network = '192.0.2.0'", "3: peer.network: network \"192.0.2.0\" has no prefix length: use 192.0.2.0/32"},

		// The same peers twice.
		{"domain = 'bank.example'\nexempt = true\n[[peer]]\nexempt = true\ndomain = 'Bank.Example'", "7: peer.domain: bank.example without its subdomains has a row already"},
		{"network = '192.0.2.0/24'\nexempt = true\n[[peer]]\nnetwork = '192.0.2.0/24'\nexempt = true", "6: peer.network: 192.0.2.0/24 has a row already"},
	} {
		check(t, "\n[[peer]]\n"+tc.row+"\n", tc.want)
	}
	check(t, "peer = 3\n", "1: peer: want rows that begin with [[peer]], got 3")
	check(t, "[peer]\n", "1: peer: want rows that begin with [[peer]], got a table")
	check(t, "peer = [3]\n", "1: peer: want rows that begin with [[peer]], got 3 in the list")
	check(t, "peer = [{domain = 'a.example', exempt = true},\n{domain = 'b.example', least = 'x'}]\n",
		"2: peer.least: unknown level \"x\": use weak, TLSv1.2, TLSv1.3")
}

// check wants the one error of a file; want begins with its line.
func check(t *testing.T, file, want string) {
	t.Helper()
	c, err := config.Load(write(t, file), nil, config.Flags{})
	if want = "tlsratchet.toml:" + want; err == nil || err.Error() != want || c != nil {
		t.Errorf("%q:\ngot  %v\nwant %s", file, err, want)
	}
}

// TestAllThatIsWrongIsReported in the order of the file, then by layer.
func TestAllThatIsWrongIsReported(t *testing.T) {
	file := write(t, `[[peer]]
domain = "com"
subdomains = true
least = "weak"
[[peer]]
network = "192.0.2.1"
least = "tls"
[policy]
pin_after_days = 0
stripped = "maybe"
[unknown.table]
[peer.inner]
key = 1
[[peer]]
domain = "bank.example"
`)
	env := vars(map[string]string{"TLSRATCHET_LISTEN": "", "TLSRATCHET_POLICY_STRIPPED": "temp-fail", "TLSRATCHET_LIMITS_CACHE": "many"})
	_, err := config.Load(file, env, config.Flags{"pin-after-days": "0"})
	want := strings.Join([]string{
		"tlsratchet.toml:2: peer.domain: com with its subdomains is everybody, and a public server must not require TLS of everybody (RFC 3207 section 4): name a domain below it",
		`tlsratchet.toml:6: peer.network: network "192.0.2.1" has no prefix length: use 192.0.2.1/32`,
		`tlsratchet.toml:7: peer.least: unknown level "tls": use weak, TLSv1.2, TLSv1.3`,
		"tlsratchet.toml:9: policy.pin_after_days: want a whole number from 1 to 64, got 0",
		`tlsratchet.toml:10: policy.stripped: unknown action "maybe": use observe, header, quarantine, tempfail, reject`,
		"tlsratchet.toml:11: unknown: unknown key: use listen, history, header, exempt_networks, judge_networks, plain_listeners, exempt_recipients, spf, shared, shared_password_file, shared_roots_file, shared_milliseconds, shared_insecure, [socket], [log], [limits], [reply], [policy], [policy_service], [outbound], [breaker], [admin], [selfcheck], [status], [dns], [alert], [[peer]], [[send]], [[destination]]",
		"tlsratchet.toml:12: peer.inner: unknown key: use domain, subdomains, network, sender, action, least, fingerprint, exempt",
		"tlsratchet.toml:14: peer: sets nothing: add action, least or exempt = true",
		"--pin-after-days: want a whole number from 1 to 64, got 0",
		`TLSRATCHET_LIMITS_CACHE: want a whole number from 100 to 10000000, got "many"`,
		"TLSRATCHET_LISTEN: the list is empty: want 1 at least",
		`TLSRATCHET_POLICY_STRIPPED: unknown action "temp-fail": use observe, header, quarantine, tempfail, reject`,
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestBadVariablesAndFlags(t *testing.T) {
	bad, empty := "never", ""
	for _, tc := range []struct {
		env   map[string]string
		flags config.Flags
		want  string
	}{
		{env: map[string]string{"TLSRATCHET_LISTEN": "unix:/a,unix:/a"}, want: "TLSRATCHET_LISTEN: unix:/a is listed twice: leave one out"},
		{env: map[string]string{"TLSRATCHET_HISTORY": "here.db"}, want: `TLSRATCHET_HISTORY: path "here.db": want an absolute path of a file, or "memory"`},
		{env: map[string]string{"TLSRATCHET_POLICY_PIN_AFTER_DAYS": ""}, want: `TLSRATCHET_POLICY_PIN_AFTER_DAYS: want a whole number from 1 to 64, got ""`},
		{env: map[string]string{"TLSRATCHET_REPLY_CONTACT": "a\xffb"}, want: `TLSRATCHET_REPLY_CONTACT: contact "a\xffb": want a URL or an address, printable ASCII, at most 200 characters`},
		{env: map[string]string{"TLSRATCHET_HISTORY": "/a\xffb"}, want: `TLSRATCHET_HISTORY: path "/a\xffb": want one without control characters, or "memory"`},
		{flags: config.Flags{"action": bad}, want: `--action: unknown action "never": use observe, header, quarantine, tempfail, reject`},
		{flags: config.Flags{"history": empty}, want: `--history: path "": want an absolute path of a file, or "memory"`},
		{env: map[string]string{"TLSRATCHET_LISTEN": "inet:127.0.0.1:19125"}, want: `TLSRATCHET_LISTEN: inet:127.0.0.1:19125 is already the address of status.listen`},
		{flags: config.Flags{"listen": ""}, want: "--listen: the list is empty: want 1 at least"},
		{flags: config.Flags{"listen": "inet:25"}, want: `--listen: unknown address "25": use inet:host:port, as inet:127.0.0.1:8891 or inet:[::1]:8891`},
	} {
		_, err := config.Load("", vars(tc.env), tc.flags)
		if err == nil || err.Error() != tc.want {
			t.Errorf("%v %+v:\ngot  %v\nwant %s", tc.env, tc.flags, err, tc.want)
		}
	}
}
