package doctor

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/outbound"
	"tlsratchet/internal/postconf"
)

// TestSending: how Postfix asks for destinations, and what is found.
func TestSending(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy")
	if err := os.WriteFile(policy, []byte("# ours\nbank.example encrypt\n.example may\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ours := "memcache:" + dir + "/tlsratchet-policy.cf"
	const good = "memcache = unix:tlsratchet/policy.sock\nbackup = inline:{never.invalid=may}\n"
	for name, text := range map[string]string{
		"tlsratchet-policy.cf": good, "tlsratchet-empty.cf": "", "tlsratchet-closed.cf": strings.Replace(good, "backup", "# backup", 1),
		"tlsratchet-absolute.cf": strings.Replace(good, "unix:", "unix:/var/spool/postfix/", 1),
		"tlsratchet-folded.cf":   "memcache =\n  unix:tlsratchet/policy.sock\n# so that mail goes\nbackup =\n# without us\n\tinline:{never.invalid=may}\n",
		"memory.cf":              good,
		"tlsratchet-port.cf":     strings.Replace(good, "unix:tlsratchet/policy.sock", "inet:127.0.0.1:8894", 1),
	} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return "memcache:" + dir + "/" + name }
	now := time.Now()
	for name, tt := range map[string]struct {
		tables   string
		settings string
		sending  Sending
		running  bool
		want     []string // parts of the findings, in their order
	}{
		"not installed":         {"", "", Sending{}, false, nil},
		"not installed, hold":   {"hash:/etc/postfix/tls", "", Sending{Hold: true}, false, []string{"does not ask tlsratchet"}},
		"a table of one's own":  {"hash:/etc/postfix/tlsratchet-exempt", "", Sending{Hold: true}, false, []string{"does not ask tlsratchet"}},
		"not installed, no log": {"", "smtp_tls_loglevel = 0\nsmtp_tls_note_starttls_offer = no\n", Sending{Hold: true}, false, []string{"does not ask tlsratchet", "smtp_tls_loglevel", "smtp_tls_note_starttls_offer"}},
		"no file":               {ours + "2", "", Sending{Overview: outbound.Overview{LastLine: now}}, true, []string{"tlsratchet-policy.cf2 does not exist: mail is deferred"}},
		"an empty file":         {at("tlsratchet-empty.cf"), "", Sending{Overview: outbound.Overview{LastLine: now}}, true, []string{"has no backup: when the daemon is down, mail is deferred"}},
		"no backup":             {at("tlsratchet-closed.cf"), "", Sending{Overview: outbound.Overview{LastLine: now}}, true, []string{"has no backup: when the daemon is down, mail is deferred"}},
		"out of sight":          {at("tlsratchet-absolute.cf"), "", Sending{Overview: outbound.Overview{LastLine: now}}, true, []string{"has memcache = unix:/var/spool/postfix/tlsratchet/policy.sock, where smtp(8) does not reach tlsratchet"}},
		"another port":          {at("tlsratchet-port.cf"), "", Sending{Overview: outbound.Overview{LastLine: now}}, true, []string{"has memcache = inet:127.0.0.1:8894, where"}},
		"in folded lines":       {at("tlsratchet-folded.cf"), "", Sending{Overview: outbound.Overview{LastLine: now}}, true, []string{"asks tlsratchet last"}},
		"by another name":       {at("memory.cf"), "", Sending{Overview: outbound.Overview{LastLine: now}}, true, []string{"asks tlsratchet last"}},
		"by a port":             {"socketmap:inet:127.0.0.1:8895:tls", "", Sending{Overview: outbound.Overview{LastLine: now}}, true, []string{"mail is deferred"}},
		"parents behind proxy":  {"proxy:hash:" + policy + ", " + ours, "", Sending{Overview: outbound.Overview{LastLine: now}}, true, []string{"(.example)"}},
		"a short life":          {ours, "maximal_queue_lifetime = 2\n", Sending{Overview: outbound.Overview{LastLine: now}, Hold: true, Release: 3}, true, []string{"maximal_queue_lifetime = 2: held mail is returned before it is let go on day 3"}},
		"a shorter life":        {ours, "maximal_queue_lifetime = 71h\n", Sending{Overview: outbound.Overview{LastLine: now}, Hold: true, Release: 3}, true, []string{"maximal_queue_lifetime = 71h"}},
		"long enough":           {ours, "maximal_queue_lifetime = 3d\n", Sending{Overview: outbound.Overview{LastLine: now}, Hold: true, Release: 3}, true, []string{"asks tlsratchet last"}},
		"nothing is held":       {ours, "maximal_queue_lifetime = 1d\n", Sending{Overview: outbound.Overview{LastLine: now}, Release: 3}, true, []string{"asks tlsratchet last"}},
		"fine":                  {ours, "", Sending{Overview: outbound.Overview{LastLine: now.Add(-3 * time.Second)}}, true, []string{"is 3s old"}},
		"not last":              {ours + ", hash:/etc/postfix/tls", "", Sending{Overview: outbound.Overview{LastLine: now}}, true, []string{"tables come after ours"}},
		"behind proxy":          {"proxy:" + ours, "", Sending{Overview: outbound.Overview{LastLine: now}}, true, []string{"behind proxy:"}},
		"fails closed":          {"socketmap:unix:tlsratchet/policy.sock:tls", "", Sending{Overview: outbound.Overview{LastLine: now}}, true, []string{"mail is deferred"}},
		"chroot":                {"socketmap:unix:/var/spool/postfix/tlsratchet/policy.sock:tls", "", Sending{Overview: outbound.Overview{LastLine: now}}, true, []string{"mail is deferred", "absolute path"}},
		"parents":               {"hash:" + policy + ", " + ours, "", Sending{Overview: outbound.Overview{LastLine: now}}, true, []string{"(.example)"}},
		"log level":             {ours, "smtp_tls_loglevel = 0\n", Sending{Overview: outbound.Overview{LastLine: now}}, true, []string{"smtp_tls_loglevel"}},
		"offers":                {ours, "smtp_tls_note_starttls_offer = no\n", Sending{Overview: outbound.Overview{LastLine: now}}, true, []string{"smtp_tls_note_starttls_offer"}},
		"DANE":                  {ours, "smtp_tls_security_level = dane\n", Sending{Overview: outbound.Overview{LastLine: now, Forbidden: "DANE"}}, true, []string{"nothing can be held: DANE | $"}},
		"switched off":          {ours, "smtp_tls_security_level =\n", Sending{Overview: outbound.Overview{LastLine: now, Forbidden: "off"}}, true, []string{"nothing can be held: off | postconf -e 'smtp_tls_security_level = may'$"}},
		"relayhost":             {ours, "relayhost = [relay]\n", Sending{Overview: outbound.Overview{LastLine: now}}, true, []string{"relayhost"}},
		"fallback":              {ours, "smtp_fallback_relay = [relay]\n", Sending{Overview: outbound.Overview{LastLine: now}}, true, []string{"smtp_fallback_relay is set"}},
		"no log":                {ours, "", Sending{Overview: outbound.Overview{Fault: "permission denied"}}, true, []string{"can't be read: permission denied"}},
		"no line yet":           {ours, "", Sending{}, true, []string{"no line about a delivery"}},
		"no daemon":             {ours, "", Sending{}, false, []string{"asks tlsratchet last"}},
	} {
		t.Run(name, func(t *testing.T) {
			set := "queue_directory = /var/spool/postfix\nsmtp_tls_policy_maps = " + tt.tables + "\nsmtp_tls_loglevel = 1\nsmtp_tls_note_starttls_offer = yes\n" + tt.settings
			p := parsePostfix([]string{"postconf"}, set, set, "smtp unix - - y - - smtp\n", "")
			tt.sending.Sockets = []string{"/var/spool/postfix/tlsratchet/policy.sock", "inet:127.0.0.1:8895"}
			found := p.sendingChecks(Options{Sending: tt.sending, Running: tt.running, Now: now})
			if len(found) != len(tt.want) {
				t.Fatalf("%+v", found)
			}
			for i, want := range tt.want {
				if got := found[i].Text + " | " + found[i].Fix + "$"; !strings.Contains(got, want) {
					t.Errorf("%q, want %q in it", got, want)
				}
			}
		})
	}
}

// TestSendingFix: the line that has Postfix ask us makes the file of our table,
// without which all mail would be deferred.
func TestSendingFix(t *testing.T) {
	dir := t.TempDir()
	set := "config_directory = " + dir + "\nqueue_directory = /var/spool/postfix\nsmtp_tls_loglevel = 1\nsmtp_tls_note_starttls_offer = yes\n"
	p := parsePostfix([]string{"true"}, set, set, "", "")
	found := p.sendingChecks(Options{Sending: Sending{Hold: true, Sockets: []string{"/var/spool/postfix/tlsratchet/policy.sock"}}})
	if len(found) != 1 {
		t.Fatalf("%+v", found)
	}
	if out, err := exec.Command("sh", "-c", found[0].Fix).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got, err := os.ReadFile(dir + "/tlsratchet-policy.cf")
	if err != nil {
		t.Fatal(err)
	}
	contrib, err := os.ReadFile("../../contrib/postfix/tlsratchet-policy.cf")
	if err != nil {
		t.Fatal(err)
	}
	if want := regexp.MustCompile("(?m)^#.*\n").ReplaceAllString(string(contrib), ""); string(got) != want {
		t.Errorf("%s\ncontrib has\n%s", got, want)
	}
}

// TestSendingFileFix: what is wrong in the file of our table is mended in its place, and
// what else was set there stays.
func TestSendingFileFix(t *testing.T) {
	const backup, table = "backup = inline:{never.invalid=may}", "memcache = unix:tlsratchet/policy.sock"
	dir := t.TempDir()
	file := dir + "/it's ours.cf"
	set := "config_directory = " + dir + "\nqueue_directory = /var/spool/postfix\nsmtp_tls_policy_maps = memcache:{" + file + "}\nsmtp_tls_loglevel = 1\nsmtp_tls_note_starttls_offer = yes\n"
	for name, tt := range map[string]struct{ is, want string }{
		"no backup":        {"# mine\n" + table + "\ntimeout = 3", "# mine\n" + table + "\ntimeout = 3\n" + backup + "\n"},
		"another endpoint": {"# mine\nmemcache=inet:127.0.0.1:8894\ntimeout = 3\n" + backup + "\n", "# mine\n" + table + "\ntimeout = 3\n" + backup + "\n"},
		"no endpoint":      {"timeout = 3\n" + backup + "\n", "timeout = 3\n" + backup + "\n\n" + table + "\n"},
		"nothing":          {"", "\n" + backup + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(tt.is), 0o600); err != nil {
				t.Fatal(err)
			}
			p := parsePostfix([]string{"true"}, set, set, "", "")
			found := p.fileCheck(service{}, file, []string{"/var/spool/postfix/tlsratchet/policy.sock"})
			if len(found) != 1 {
				t.Fatalf("%+v", found)
			}
			change, _, _ := strings.Cut(found[0].Fix, " && postfix")
			if out, err := exec.Command("sh", "-c", change).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if got, err := os.ReadFile(file); err != nil || string(got) != tt.want {
				t.Errorf("%v\n%s\nwant\n%s", err, got, tt.want)
			}
		})
	}
}

// TestSendingReload: the line for an instance reloads that instance.
func TestSendingReload(t *testing.T) {
	dir := t.TempDir()
	set := "config_directory = " + dir + "\nsmtp_tls_policy_maps = memcache:" + dir + "/tlsratchet-policy.cf\nsmtp_tls_loglevel = 1\nsmtp_tls_note_starttls_offer = yes\n"
	p := parsePostfix(postconf.Command(dir), set, set, "", "")
	expect(t, p.sendingChecks(Options{Sending: Sending{Sockets: []string{"/s"}}}), []string{"broken sending: does not exist | && postfix -c " + dir + " reload"})
}

// TestSendingSocket: a socket that Postfix asks for destinations is tried as the others.
func TestSendingSocket(t *testing.T) {
	o := Options{Sending: Sending{Sockets: []string{"/nowhere/policy.sock", "inet:127.0.0.1:1"}}, Now: time.Now()}
	for tables, want := range map[string]bool{"": false, "memcache:/x/tlsratchet-policy.cf": true} {
		got := slices.ContainsFunc(Check(t.Context(), parse(mainCF("smtp_tls_policy_maps = "+tables), "", ""), o), func(f Finding) bool {
			return f.Severity == Broken && strings.Contains(f.Text, "/nowhere/policy.sock does not exist")
		})
		if got != want {
			t.Errorf("with %q: found %t", tables, got)
		}
	}
}
