package doctor

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tlsratchet/test/posttest"
)

const (
	smtpd      = "smtp inet n - y - - smtpd\n"
	submission = "submission inet n - y - - smtpd -o syslog_name=postfix/submission -o smtpd_tls_security_level=encrypt\n"
	postscreen = "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\n"
	reinject   = "127.0.0.1:10025 inet n - n - - smtpd -o content_filter= -o receive_override_options=no_header_body_checks\n"
	amavis     = "127.0.0.1:10025 inet n - n - - smtpd -o content_filter= -o smtpd_milters= -o receive_override_options=no_unknown_recipient_checks\n"
	mayTLS     = "smtpd_tls_security_level = may\nsmtpd_tls_chain_files = /dev/null\n"
)

// configurations as they are found on mail hosts. The socket is in
// /var/spool/postfix unless listen says otherwise.
var configurations = []struct{ name, main, master, listen string }{
	{"Debian's", mayTLS, smtpd + submission, ""},
	{"rspamd", mayTLS + "smtpd_milters = inet:localhost:11332\nnon_smtpd_milters = $smtpd_milters\nmilter_default_action = accept\n", smtpd + submission, ""},
	{"rspamd and OpenDKIM", mayTLS + "smtpd_milters = inet:localhost:11332, local:opendkim/opendkim.sock\nnon_smtpd_milters = inet:localhost:11332\n", smtpd + submission, ""},
	{"options in braces", mayTLS + "smtpd_milters = { inet:localhost:11332, connect_timeout=10s, default_action=tempfail }, unix:/opendmarc/opendmarc.sock\n", smtpd, ""},
	{"several lines", mayTLS + "smtpd_milters =\n    { inet:localhost:11332,\n      default_action = accept }\n    unix:/clamav/milter.ctl\n", smtpd + submission, ""},
	{"a parameter of its own", mayTLS + "rspamd = inet:localhost:11332\nsmtpd_milters = $rspamd, ${rspamd?{unix:b}:{unix:c}}\nnon_smtpd_milters = ${smtpd_milters}\n", smtpd + submission, ""},
	{"ours, as the README had it", mayTLS + "smtpd_milters = { unix:tlsratchet/tlsratchet.sock, default_action=accept }, inet:localhost:11332\n", smtpd + submission, ""},
	{"ours, bare and last", mayTLS + "smtpd_milters = inet:localhost:11332 unix:tlsratchet/tlsratchet.sock\nnon_smtpd_milters = $smtpd_milters\n", smtpd, ""},
	{"ours, with other options", mayTLS + "smtpd_milters = { unix:tlsratchet/tlsratchet.sock, protocol=6, command_timeout=3s, connect_timeout=5m }\n", smtpd + submission, ""},
	{"ours, in a parameter", mayTLS + "ratchet = unix:tlsratchet/tlsratchet.sock\nsmtpd_milters = inet:localhost:11332, $ratchet\n", smtpd + submission, ""},
	{"ours, by a path out of the chroot", mayTLS + "smtpd_milters = unix:/var/spool/postfix/tlsratchet/tlsratchet.sock, inet:127.0.0.1:8891\n", smtpd, ""},
	{"ours, by a path in the chroot", mayTLS + "smtpd_milters = unix:/tlsratchet/tlsratchet.sock\n", smtpd + submission, ""},
	{"a list in master.cf", mayTLS + "smtpd_milters = inet:localhost:11332\n", "smtp inet n - y - - smtpd -o smtpd_milters=inet:localhost:11332,inet:localhost:8891\n" + submission, ""},
	{"a list with braces in master.cf", mayTLS, "25 inet n - n - - smtpd -o { smtpd_milters = { inet:localhost:11332, default_action=tempfail }, unix:/a b }\n", ""},
	{"a signer on submission", mayTLS + "mua_milters = inet:localhost:8891\n", smtpd + "submission inet n - y - - smtpd -o smtpd_milters=$mua_milters\n587 inet n - y - - smtpd\n", ""},
	{"postscreen", mayTLS + "smtpd_milters = inet:localhost:11332\n", postscreen + submission, ""},
	{"amavis", mayTLS + "content_filter = smtp:[127.0.0.1]:10024\nheader_checks = regexp:/etc/postfix/header_checks\n", smtpd + amavis, ""},
	{"a content filter that comes back by milters", mayTLS + "content_filter = scan:[127.0.0.1]:10024\nsmtpd_milters = inet:localhost:11332\n", smtpd + reinject, ""},
	{"two addresses, one with its own level", mayTLS + "smtpd_discard_ehlo_keywords = silent-discard, STARTTLS, dsn\n", "192.0.2.1:smtp inet n - y - - smtpd -o smtpd_tls_security_level=none\n[::1]:25 inet n - y - - smtpd -o smtpd_discard_ehlo_keywords=starttls,chunking\n", ""},
	{"2002", "smtpd_use_tls = yes\nsmtpd_tls_cert_file = /dev/null\nsmtpd_tls_loglevel = 0\nsmtpd_client_new_tls_session_rate_limit = 10\n", smtpd, ""},
	{"no TLS at all", "", smtpd + submission, ""},
	{"TLS of everybody", "smtpd_tls_security_level = encrypt\nsmtpd_tls_chain_files = /dev/null\n", smtpd + "submission inet n - y - - smtpd\n", ""},
	{"a milter on TCP, listening everywhere", mayTLS + "smtpd_milters = inet:localhost:11332\n", smtpd, "inet:0.0.0.0:8893"},
	{"ours, by the default socket of before", mayTLS + "smtpd_milters = { unix:tlsratchet/tlsratchet.sock, default_action=accept }, inet:localhost:11332\n", smtpd + submission, "inet:127.0.0.1:8893"},
	{"ours, with options in braces of their own", mayTLS + "smtpd_milters = { unix:tlsratchet/tlsratchet.sock, connect_timeout=1s, { default_action = tempfail }, { command_timeout = 300s } }, { inet:localhost:11332, { default_action = accept } }\n", smtpd + submission, ""},
	{"ours, with an option twice", mayTLS + "smtpd_milters = { unix:tlsratchet/tlsratchet.sock, default_action=accept, default_action=tempfail }\n", smtpd, ""},
	{"comments between the lines", mayTLS + "smtpd_milters =\n# rspamd\n    inet:localhost:11332\n  # and the signer\n    { inet:localhost:8891,\n# slow\n      command_timeout=3s }\n", smtpd + submission, ""},
	{"ours twice", mayTLS + "smtpd_milters = " + Entry("unix:tlsratchet/tlsratchet.sock") + ", inet:localhost:11332, unix:tlsratchet/tlsratchet.sock\n", smtpd + submission, ""},
	{"no certificate for one service", mayTLS, "smtp inet n - y - - smtpd -o smtpd_tls_security_level=none -o smtpd_tls_chain_files=\n" + submission, ""},
	{"local mail asks us", mayTLS + "smtpd_milters = " + Entry("unix:tlsratchet/tlsratchet.sock") + "\nnon_smtpd_milters = inet:localhost:11332, unix:tlsratchet/tlsratchet.sock\n", smtpd + "submission inet n - y - - smtpd -o smtpd_milters=\n", ""},
	{"a parameter of its own, another one for the users", mayTLS + "filters = inet:localhost:11332\nsmtpd_milters = $filters\n", smtpd + "submission inet n - y - - smtpd -o filters=inet:localhost:8891\n587 inet n - y - - smtpd -o filters=\n", ""},
	{"ours in a parameter of its own, and not for the users", mayTLS + "ratchet = " + Entry("unix:tlsratchet/tlsratchet.sock") + "\nsmtpd_milters = inet:localhost:11332, $ratchet\n", smtpd + "submission inet n - y - - smtpd -o ratchet=\n", ""},
	{"a parameter of its own, another one for one service", "by_ratchet = none\nsmtpd_tls_security_level = $by_ratchet\nsmtpd_tls_chain_files = /dev/null\n", "smtp inet n - y - - smtpd -o by_ratchet=may\n25 inet n - y - - smtpd\n", ""},
	{"words in capitals", "smtpd_use_tls = Yes\nsmtpd_tls_cert_file = /dev/null\nsmtpd_tls_wrappermode = YES\nsmtpd_peername_lookup = Yes\n", smtpd, ""},
	{"a quote in a value", mayTLS + "smtpd_milters = unix:it's/here, inet:localhost:11332\n", smtpd + submission, ""},
}

// What doctor prints for real configurations is run by a shell. Then doctor has
// no other fix, and all else means to Postfix what it meant before.
func TestFixes(t *testing.T) {
	if err := posttest.Require(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range configurations {
		t.Run(tt.name, func(t *testing.T) {
			sockets := []string{ourSocket}
			if tt.listen != "" {
				sockets = []string{tt.listen}
			}
			after := mended(t, tt.main, tt.master, sockets, func(p *Postfix) []Finding {
				return slices.Concat(p.milterChecks(sockets, nil), p.tlsChecks(), p.filterChecks(), p.limitChecks())
			})
			if list := after.main["smtpd_milters"]; strings.Count(list, "tlsratchet/") > 1 || tt.listen != "" && strings.Contains(list, "tlsratchet/") {
				t.Errorf("we are in it by another socket: %s", list)
			}
		})
	}
}

// TestFixesOfOptions: what master.cf sets for one service, and what a class of
// restrictions has, is mended where it stands.
func TestFixesOfOptions(t *testing.T) {
	if err := posttest.Require(); err != nil {
		t.Fatal(err)
	}
	const (
		socket = "/var/spool/postfix/tlsratchet/policy-service.sock"
		sender = "smtp unix - - y - - smtp\nrelay unix - - y - - smtp"
		atEnd  = "smtpd_end_of_data_restrictions = check_policy_service { unix:tlsratchet/policy-service.sock, default_action=DUNNO, timeout=5s, try_limit=1 }\n"
	)
	table := filepath.Join(t.TempDir(), "tlsratchet-policy.cf")
	if err := os.WriteFile(table, []byte("memcache = unix:tlsratchet/policy.sock\nbackup = inline:{never.invalid=may}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ours := "smtp_tls_policy_maps = hash:/etc/postfix/tls, memcache:" + table + "\nsmtp_tls_note_starttls_offer = yes\n"
	classes := "smtpd_restriction_classes = mine, ratchet\nmine = reject_unlisted_recipient, reject_unauth_destination\nsmtpd_relay_before_recipient_restrictions = yes\n"
	sent := Sending{Sockets: []string{"/var/spool/postfix/tlsratchet/policy.sock"}}
	sending := func(p *Postfix) []Finding { return p.sendingChecks(Options{Sending: sent}) }
	holding := func(p *Postfix) []Finding {
		return p.sendingChecks(Options{Sending: Sending{Sockets: sent.Sockets, Hold: true}})
	}
	policy := func(p *Postfix) []Finding { return p.policyChecks(Options{PolicySockets: []string{socket}}) }
	certificates := func(p *Postfix) []Finding {
		return p.policyChecks(Options{PolicySockets: []string{socket}, Fingerprints: true})
	}
	const first = "smtpd_relay_before_recipient_restrictions = yes\n"
	entry := PolicyEntry("unix:tlsratchet/policy-service.sock")
	asks := first + atEnd + "smtpd_recipient_restrictions = permit_mynetworks, reject_unlisted_recipient, " + entry + "\n"
	for _, tt := range []struct {
		name, main, master string
		check              func(*Postfix) []Finding
		want               []string // before
	}{
		{"no table for a service", ours, sender + " -o smtp_tls_policy_maps=hash:/etc/postfix/relays\n", sending,
			[]string{"note sending: service relay: smtp_tls_policy_maps does not ask | -P 'relay/unix/smtp_tls_policy_maps=hash:/etc/postfix/relays,memcache:${config_directory}/tlsratchet-policy.cf'"}},
		{"no table in braces", ours, sender + " -o { smtp_tls_policy_maps = }\n", sending, []string{"note sending: service relay: smtp_tls_policy_maps does not ask"}},
		{"a table behind proxy", ours, sender + " -o smtp_tls_policy_maps=hash:/x,proxy:memcache:" + table + "\n", sending,
			[]string{"note sending: service relay: our table is behind proxy | -P 'relay/unix/smtp_tls_policy_maps=hash:/x,memcache:" + table + "'"}},
		{"no log", ours, sender + " -o smtp_tls_loglevel=0 -o smtp_tls_note_starttls_offer=no\n", sending,
			[]string{`broken sending: service relay: smtp_tls_loglevel is "0" | -P 'relay/unix/smtp_tls_loglevel=1'`, `broken sending: service relay: smtp_tls_note_starttls_offer is "no"`}},
		{"no log of deliveries", "smtp_tls_loglevel = 0\n", sender, sending, []string{"note log: which deliveries used TLS | -e 'smtp_tls_loglevel = 1'"}},
		{"no log of what is held", ours + "smtp_tls_loglevel = 0\n", sender, sending, []string{`broken sending: smtp_tls_loglevel is "0" | -e 'smtp_tls_loglevel = 1'`}},
		{"nothing asks for destinations", "smtp_tls_note_starttls_offer = no\nsmtp_tls_policy_maps = hash:/etc/postfix/tls, inline:{bank.example=encrypt}\n", sender + "\n", holding,
			[]string{"broken sending: does not ask | >'", `broken sending: smtp_tls_note_starttls_offer is "no"`}},
		{"the policy service is not asked", first + "smtpd_recipient_restrictions = permit_mynetworks, check_policy_service { inet:localhost:10023, timeout=10s }, permit\n", smtpd, policy,
			[]string{"note policy service: does not ask", "note policy service: neither"}},
		{"one service has restrictions of its own", asks, "smtp inet n - n - - smtpd -o smtpd_recipient_restrictions=permit_mynetworks,reject\n25 inet n - n - - smtpd\n", policy,
			[]string{"note policy service: service smtp: does not ask | -P", "ok policy service: service 25"}},
		{"in the wrong place", asks + "smtpd_sender_restrictions = check_policy_service unix:tlsratchet/policy-service.sock, reject_unknown_sender_domain\n", smtpd, policy,
			[]string{"ok policy service", "note policy service: smtpd_sender_restrictions asks, which is the wrong place | -e 'smtpd_sender_restrictions = reject_unknown_sender_domain'"}},
		{"a check that only warns", strings.ReplaceAll(asks, "check_", "warn_if_reject check_") + "smtpd_sender_restrictions = warn_if_reject check_policy_service unix:tlsratchet/policy-service.sock, reject_unknown_sender_domain\n", smtpd, policy,
			[]string{"broken policy service: warn_if_reject comes before the check: nothing is refused | -e 'smtpd_recipient_restrictions = permit_mynetworks, reject_unlisted_recipient, " + entry + "'",
				"broken policy service: in smtpd_end_of_data_restrictions: warn_if_reject comes before the check | -e 'smtpd_end_of_data_restrictions = " + entry + "'",
				"note policy service: smtpd_sender_restrictions asks | -e 'smtpd_sender_restrictions = reject_unknown_sender_domain'"}},
		{"restrictions that only warn", first + atEnd + "smtpd_recipient_restrictions = permit_mynetworks, warn_if_reject reject, warn_if_reject reject_unlisted_recipient, " + entry + "\n", smtpd, policy,
			[]string{"note policy service: unknown recipients | 'smtpd_recipient_restrictions = permit_mynetworks, warn_if_reject, reject, warn_if_reject, reject_unlisted_recipient, reject_unlisted_recipient, check_"}},
		{"relay attempts", strings.Replace(asks, "yes", "no", 1), smtpd, policy, []string{"note policy service: smtpd_relay_restrictions refuses"}},
		{"out of the chroot's sight", strings.ReplaceAll(asks, "unix:", "unix:/var/spool/postfix/"), smtpd, policy, []string{"broken policy service: can't see", "broken policy service: in smtpd_end_of_data_restrictions: runs chrooted"}},
		{"no default action at the end", strings.Replace(asks, entry, "check_policy_service unix:tlsratchet/policy-service.sock", 1), smtpd, policy,
			[]string{"ok policy service", `broken policy service: in smtpd_end_of_data_restrictions: when the daemon is down, Postfix answers each message with "451`, "note policy service: delays each message: timeout=100s"}},
		{"after what ends the list", strings.Replace(asks, "= permit_mynetworks", "= permit_mynetworks, permit", 1), smtpd, policy, []string{"broken policy service: permit ends"}},
		{"unknown recipients", strings.Replace(asks, "reject_unlisted_recipient, ", "", 1), smtpd, policy, []string{"note policy service: unknown recipients"}},
		{"the header is removed", asks + "header_checks = regexp:/etc/postfix/header_checks, regexp:/etc/postfix/header_checks.tlsratchet\n", smtpd, policy,
			[]string{"ok policy service", "broken policy service: header_checks removes"}},
		{"no certificates", asks + "smtpd_tls_fingerprint_digest = md5\n", smtpd + "submission inet n - n - - smtpd\n", certificates,
			[]string{"ok policy service", "broken certificates: smtpd_tls_ask_ccert is not yes", "note certificates: smtpd_tls_fingerprint_digest is md5"}},
		{"in a class and bare", classes + atEnd + "ratchet = check_policy_service unix:tlsratchet/policy-service.sock\nsmtpd_recipient_restrictions = permit_mynetworks, mine, ratchet\n", smtpd, policy,
			[]string{`broken policy service: service smtp: when the daemon is down, Postfix answers each recipient with "451 4.3.5 Server configuration problem" | -e 'smtpd_recipient_restrictions = permit_mynetworks, reject_unlisted_recipient, reject_unauth_destination, check_policy_service {`, "note policy service: timeout=100s"}},
		{"in a class of a class before others", classes + atEnd + "smtpd_restriction_classes = mine, outer, ratchet\nouter = reject_unlisted_recipient, ratchet\nratchet = " + PolicyEntry("unix:tlsratchet/policy-service.sock") + "\n" +
			"smtpd_recipient_restrictions = mine, permit_mynetworks, outer, reject_unauth_destination, permit\n", smtpd, policy,
			[]string{"note policy service: comes after the check"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var found []Finding
			mended(t, mayTLS+tt.main, tt.master, nil, func(p *Postfix) []Finding {
				all := tt.check(p)
				if found == nil {
					found = all
				}
				return all
			})
			expect(t, found, tt.want)
		})
	}
}

// mended runs what doctor prints for a configuration, and returns the new one.
func mended(t *testing.T, main, master string, sockets []string, check func(*Postfix) []Finding) *Postfix {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"main.cf": "compatibility_level = 3.6\nqueue_directory = /var/spool/postfix\nsmtpd_tls_loglevel = 1\nsmtp_tls_loglevel = 1\n" + main, "master.cf": master} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := read(t, dir)
	fixes := fixesIn(check(before))
	if len(fixes) == 0 {
		t.Error("nothing to fix")
	}
	for _, fix := range fixes {
		if out, err := exec.Command("sh", "-c", fix).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", fix, err, out)
		}
		settle(t, dir)
	}
	after := read(t, dir)
	if rest := fixesIn(check(after)); len(rest) > 0 {
		t.Errorf("after %q\nthere is still %q", fixes, rest)
	}
	compare(t, before.meaning(sockets), after.meaning(sockets), fixes)
	return after
}

// read has the files look a minute old: Postfix waits until one that was
// written just now is finished.
func read(t *testing.T, dir string) *Postfix {
	t.Helper()
	settle(t, dir)
	p, err := ReadPostfix(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func settle(t *testing.T, dir string) {
	t.Helper()
	past := time.Now().Add(-time.Minute)
	for _, name := range []string{"main.cf", "master.cf"} {
		if err := os.Chtimes(filepath.Join(dir, name), past, past); err != nil {
			t.Fatal(err)
		}
	}
}

func fixesIn(found []Finding) (fixes []string) {
	for _, f := range found {
		if f.Fix != "" && !slices.Contains(fixes, f.Fix) {
			fixes = append(fixes, f.Fix)
		}
	}
	return fixes
}

// derived are the names, or the begins of them, of parameters whose defaults are made
// from others.
var derived = []string{"process_id", "proxy_read_maps", "tlsproxy_", "postscreen_"}

// meaning is what each parameter means to each service, lists of milters
// without ours.
func (p *Postfix) meaning(sockets []string) map[string]string {
	all := map[string]string{}
	put := func(key, name, value string) {
		if slices.ContainsFunc(derived, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			return
		}
		if strings.HasSuffix(name, "_milters") {
			value = withoutBlanks(p.without(value, value, sockets))
		}
		all[key] = value
	}
	for name, value := range p.main {
		put(name, name, value)
	}
	for _, s := range p.services {
		for _, name := range slices.Collect(maps.Keys(p.main)) {
			put(s.option(name), name, p.value(s, name))
		}
	}
	for key, value := range p.overrides {
		put(key, key[strings.LastIndexByte(key, '/')+1:], value)
	}
	return all
}

// compare allows changes only to what a fix names, and to lists of milters only
// in our own entry.
func compare(t *testing.T, before, after map[string]string, fixes []string) {
	t.Helper()
	for key := range after {
		name := key[strings.LastIndexByte(key, '/')+1:]
		if name == "smtpd_tls_security_level" && was(before, key, name) == "encrypt" && !strings.HasPrefix(key, "smtp/") {
			name = "nobody's" // users who log in rely on it
		}
		name = strings.TrimPrefix(strings.TrimPrefix(name, "mime_"), "nested_") // header_checks, by default
		named := strings.Contains(strings.Join(fixes, "\n"), name) && !strings.HasSuffix(name, "_milters")
		if is := was(before, key, key[strings.LastIndexByte(key, '/')+1:]); !named && is != after[key] {
			t.Errorf("%s was %q and is %q after\n%s", key, is, after[key], strings.Join(fixes, "\n"))
		}
	}
	for key := range before {
		// A parameter of the operator's own that nothing uses any more is in
		// main.cf, but postconf(1) doesn't show it.
		if _, ok := after[key]; !ok && !strings.HasSuffix(key, "ratchet") {
			t.Errorf("%s is gone", key)
		}
	}
}

// The entry is the one of contrib/postfix.
func TestEntry(t *testing.T) {
	text, err := os.ReadFile("../../contrib/postfix/main.cf.tlsratchet")
	if err != nil {
		t.Fatal(err)
	}
	policy, err := os.ReadFile("../../contrib/postfix/main.cf.policy")
	if err != nil {
		t.Fatal(err)
	}
	if want := PolicyEntry("unix:tlsratchet/policy-service.sock"); strings.Count(strings.Join(strings.Fields(string(policy)), " "), want) != 2 {
		t.Errorf("contrib's main.cf.policy does not have %s twice", want)
	}
	_, value, _ := strings.Cut(string(text), "\nsmtpd_milters =")
	if got, want := strings.Join(strings.Fields(value), " "), Entry("unix:tlsratchet/tlsratchet.sock"); got != want {
		t.Errorf("contrib has %s\ndoctor has %s", got, want)
	}
}

// was is what a parameter meant to a service: main.cf's where it had none of its own.
func was(before map[string]string, key, name string) string {
	if value, ok := before[key]; ok {
		return value
	}
	return before[name]
}

// TestFixQuotes: a directory is one word of each command that is shown.
func TestFixQuotes(t *testing.T) {
	main := "config_directory = /etc/a b'c\nmyhostname = mx.test\nsmtp_tls_policy_maps = memcache:/no/such/tlsratchet-policy.cf\nsmtp_tls_loglevel = 1\nsmtp_tls_note_starttls_offer = yes\n"
	p := parsePostfix([]string{"postconf", "-c", "/etc/a b'c"}, main, main, "smtp inet n - n - - smtpd\nsmtp unix - - n - - smtp", "")
	findings := append(p.milterChecks([]string{"/x.sock"}, nil), p.tlsChecks()...)
	findings = append(findings, p.sendingChecks(Options{Sending: Sending{Sockets: []string{"/policy.sock"}}})...)
	for _, f := range findings {
		if bare := strings.ReplaceAll(f.Fix, quote("/etc/a b'c"), ""); strings.Contains(bare, "-c /etc") || strings.Contains(bare, "-keyout /etc") {
			t.Errorf("%s: %s", f.Text, f.Fix)
		}
	}
	if len(findings) < 4 {
		t.Errorf("%d findings: %v", len(findings), findings)
	}
}

// TestRelativeFolder: the line works in any folder, where the one that --postfix named
// is seen from the working folder.
func TestRelativeFolder(t *testing.T) {
	if err := posttest.Require(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"main.cf", "master.cf"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, dir)
	t.Chdir(filepath.Dir(dir))
	p, err := ReadPostfix(t.Context(), filepath.Base(dir))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.postconf("x = y"), "postconf -c "+dir+" -e 'x = y'"; got != want || p.main["config_directory"] != dir {
		t.Errorf("%s\nwant %s\nconfig_directory = %s", got, want, p.main["config_directory"])
	}
}
