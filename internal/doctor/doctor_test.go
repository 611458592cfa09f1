package doctor

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const stockServices = `
smtp       inet  n       -       y       -       -       smtpd
submission inet  n       -       y       -       -       smtpd -o syslog_name=postfix/submission
pickup     unix  n       -       y       60      1       pickup
`

// mainCF is a main.cf in good order, with some lines replaced.
func mainCF(lines ...string) string {
	base := map[string]string{
		"smtpd_milters": Entry("unix:tlsratchet/tlsratchet.sock") + ", inet:localhost:11332", "milter_default_action": "tempfail",
		"queue_directory": "/var/spool/postfix", "mail_owner": "postfix", "smtpd_tls_security_level": "may",
		"smtpd_client_new_tls_session_rate_limit": "0", "smtpd_tls_chain_files": "/dev/null", "compatibility_level": "3.6", relayFirst: "yes",
		"milter_connect_timeout": "30s", "milter_command_timeout": "30s", "milter_content_timeout": "300s", "smtpd_tls_loglevel": "1", "smtp_tls_loglevel": "1",
	}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, " = ")
		base[name] = value
	}
	var b strings.Builder
	for name, value := range base {
		b.WriteString(name + " = " + value + "\n")
	}
	return b.String()
}

// parse reads a configuration that has no $name in it.
func parse(main, services, overrides string) *Postfix {
	return parsePostfix([]string{"postconf"}, main, main, services, overrides)
}

const ourSocket = "/var/spool/postfix/tlsratchet/tlsratchet.sock"

func TestPostfixChecks(t *testing.T) {
	for _, tt := range []struct {
		name      string
		lines     []string
		services  string
		overrides string
		want      []string // "severity check: part of the text | part of the fix"
	}{
		{"all is well", nil, stockServices, "submission/inet/smtpd_milters =",
			[]string{"ok milter: asks tlsratchet first", "ok starttls: offers STARTTLS"}},
		{"submission asks us too", nil, stockServices, "",
			[]string{"ok milter", "note submission: your own users | postconf -P 'submission/inet/smtpd_milters=inet:localhost:11332'", "ok starttls"}},
		{"no milter", []string{"smtpd_milters = inet:localhost:11332"}, stockServices, "",
			[]string{"broken milter: has no milter at " + ourSocket + " | smtpd_milters = " + Entry("unix:tlsratchet/tlsratchet.sock") + ", inet:localhost:11332", "note submission: too | submission/inet/smtpd_milters=inet:localhost:11332", "ok starttls"}},
		{"no default_action", []string{"smtpd_milters = unix:tlsratchet/tlsratchet.sock"}, stockServices, "submission/inet/smtpd_milters =",
			[]string{`broken milter: when the daemon is down, Postfix answers mail with "tempfail"`, "note milter: delays each session: connect_timeout=30s", "ok starttls"}},
		{"global default_action", []string{"smtpd_milters = unix:tlsratchet/tlsratchet.sock", "milter_default_action = accept", "milter_connect_timeout = 3s", "milter_command_timeout = 5s", "milter_content_timeout = 10s"}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"ok milter", "ok starttls"}},
		{"twice", []string{"smtpd_milters = " + Entry("unix:tlsratchet/tlsratchet.sock") + ", inet:localhost:11332, unix:tlsratchet/tlsratchet.sock"}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"broken milter: 2 times | smtpd_milters = " + Entry("unix:tlsratchet/tlsratchet.sock") + ", inet:localhost:11332'", "ok starttls"}},
		{"words in capitals", []string{"smtpd_milters = " + strings.Replace(Entry("unix:tlsratchet/tlsratchet.sock"), "=accept", "=Accept", 1), "smtpd_tls_security_level = MAY"}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"ok milter", "ok starttls"}},
		{"options in braces of their own", []string{"smtpd_milters = { unix:tlsratchet/tlsratchet.sock, default_action=accept, connect_timeout=1s, { default_action = tempfail }, { command_timeout = 300s }, { protocol = 6 } }"}, stockServices, "submission/inet/smtpd_milters =",
			[]string{`broken milter: Postfix answers mail with "tempfail" | { unix:tlsratchet/tlsratchet.sock, default_action=accept, connect_timeout=1s, command_timeout=5s, content_timeout=10s, protocol=6 }`, "note milter: command_timeout=300s", "ok starttls"}},
		{"a default action in master.cf", []string{"smtpd_milters = unix:tlsratchet/tlsratchet.sock", "milter_default_action = accept", "milter_connect_timeout = 3s", "milter_command_timeout = 5s", "milter_content_timeout = 10s"}, stockServices,
			"submission/inet/smtpd_milters =\nsmtp/inet/milter_default_action = tempfail\nsmtp/inet/milter_command_timeout = 300s",
			[]string{`broken milter: Postfix answers mail with "tempfail"`, "note milter: command_timeout=300s", "ok starttls"}},
		{"a log level in master.cf", nil, stockServices, "submission/inet/smtpd_milters =\nsubmission/inet/smtpd_tls_loglevel = 0\nsmtp/inet/smtpd_tls_loglevel = none",
			[]string{"ok milter", "ok starttls", "note log: replay needs it | postconf -P 'smtp/inet/smtpd_tls_loglevel=1'"}},
		{"not first", []string{"smtpd_milters = inet:localhost:11332 " + Entry("unix:tlsratchet/tlsratchet.sock")}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"note milter: other milters come first", "ok starttls"}},
		{"out of the chroot's sight", []string{"smtpd_milters = " + Entry("unix:"+ourSocket)}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"broken chroot: can't see " + ourSocket, "ok starttls"}},
		{"out of sight by a default of before", []string{"smtpd_milters = " + Entry("unix:"+ourSocket), "compatibility_level = 0"}, strings.ReplaceAll(stockServices, " y ", " - "), "submission/inet/smtpd_milters =",
			[]string{"broken chroot: can't see " + ourSocket, "ok starttls"}},
		{"in sight by the default", []string{"smtpd_milters = " + Entry("unix:"+ourSocket)}, strings.ReplaceAll(stockServices, " y ", " - "), "submission/inet/smtpd_milters =",
			[]string{"ok milter", "ok starttls"}},
		{"no STARTTLS", []string{"smtpd_tls_security_level = "}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"ok milter", "broken starttls: offers no STARTTLS | postconf -e 'smtpd_tls_security_level = may'"}},
		{"levels that smtpd(8) takes for another", []string{"smtpd_tls_security_level = secure"}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"ok milter", "note starttls: RFC 3207 section 4 | postconf -P 'smtp/inet/smtpd_tls_security_level=may'"}},
		{"a level that smtpd(8) does not know", []string{"smtpd_tls_security_level = dane"}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"ok milter", "broken starttls: knows no smtpd_tls_security_level = dane, and ends | postconf -e 'smtpd_tls_security_level = may'"}},
		{"TLS from the first byte", []string{"smtpd_tls_wrappermode = yes"}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"ok milter", "broken starttls: wants TLS from the first byte | postconf -P 'smtp/inet/smtpd_tls_wrappermode=no'"}},
		{"a certificate that is not there", []string{"smtpd_tls_chain_files = tls/none.pem"}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"ok milter", "broken starttls: offers STARTTLS, which fails: its certificate or key /var/spool/postfix/tls/none.pem does not exist"}},
		{"a key that is not there", []string{"smtpd_tls_chain_files = ", "smtpd_tls_cert_file = /dev/null", "smtpd_tls_key_file = /none.key"}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"ok milter", "broken starttls: its certificate or key /none.key does not exist"}},
		{"a queue without a socket, not asked", []string{"smtpd_milters = ", "queue_directory = /var/spool/postfix-out"}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"broken milter: has no milter at " + ourSocket, "broken chroot: runs chrooted in /var/spool/postfix-out and can't see " + ourSocket + ": have tlsratchet listen on a socket below that directory too", "ok starttls"}},
		{"a queue without a socket", []string{"smtpd_milters = " + Entry("unix:"+ourSocket), "queue_directory = /var/spool/postfix-out"}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"broken chroot: runs chrooted in /var/spool/postfix-out and can't see " + ourSocket + ": have tlsratchet listen", "ok starttls"}},
		{"the parameter of 2002", []string{"smtpd_tls_security_level = ", "smtpd_use_tls = yes"}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"ok milter", "ok starttls"}},
		{"STARTTLS of everybody", []string{"smtpd_tls_security_level = encrypt"}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"ok milter", "note starttls: RFC 3207 section 4 | postconf -P 'smtp/inet/smtpd_tls_security_level=may'"}},
		{"what takes TLS away", []string{"smtpd_discard_ehlo_keywords = silent-discard, STARTTLS", "smtpd_client_new_tls_session_rate_limit = 5", "smtpd_discard_ehlo_keyword_address_maps = hash:/x", "smtpd_tls_loglevel = 0"}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"ok milter", "ok starttls", "broken starttls: removes STARTTLS", "note starttls: rate_limit = 5 | postconf -P 'smtp/inet/smtpd_client_new_tls_session_rate_limit=0'", "note log: replay needs it | smtpd_tls_loglevel = 1", "note starttls: address_maps = hash:/x: it may take STARTTLS"}},
		{"filters", []string{"smtpd_proxy_filter = 127.0.0.1:10025", "content_filter = smtp:[127.0.0.1]:10025", "header_checks = regexp:/x"},
			stockServices + "127.0.0.1:10026 inet n - n - 10 smtpd\n", "submission/inet/smtpd_milters =\n127.0.0.1:10026/inet/content_filter =\n127.0.0.1:10026/inet/receive_override_options = no_milters",
			[]string{"ok milter", "ok starttls", "note filter: takes mail back | postconf -P '127.0.0.1:10026/inet/receive_override_options=no_milters,no_header_body_checks'", "note filter: smtpd_proxy_filter = 127.0.0.1:10025: milters don't see"}},
		{"postscreen", nil, "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\n", "",
			[]string{"ok milter: service smtpd ", "ok starttls: service smtpd "}},
		{"by another word for unix", []string{"smtpd_milters = " + Entry("local:tlsratchet/tlsratchet.sock")}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"ok milter", "ok starttls"}},
		{"milters are switched off", []string{"receive_override_options = no_address_mappings,no_milters"}, stockServices, "",
			[]string{"broken milter: service smtp: receive_override_options has no_milters: no milter is asked", "ok starttls"}},
		{"milters are switched off for the service", []string{"smtpd_milters = inet:localhost:11332"}, stockServices, "smtp/inet/receive_override_options = no_milters",
			[]string{"broken milter: no milter is asked", "ok starttls"}},
		{"a queue without a socket, and submission by main.cf", []string{"smtpd_milters = ", "queue_directory = /var/spool/postfix-out"}, stockServices, "",
			[]string{"broken milter: has no milter", "broken chroot: have tlsratchet listen", "ok starttls"}},
		{"no certificate is wanted", []string{"smtpd_tls_chain_files = ", "smtpd_tls_cert_file = none"}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"ok milter", "note starttls: offers STARTTLS without a certificate"}},
		{"peers have no names", []string{"smtpd_peername_lookup = no"}, stockServices, "submission/inet/smtpd_milters =",
			[]string{"ok milter", "ok starttls", "note front: smtpd_peername_lookup = no: peers are known by their addresses alone"}},
		{"no port 25", nil, "pickup unix n - y 60 1 pickup\n", "", []string{"note milter: receives no mail from other hosts"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := parse(mainCF(tt.lines...), tt.services, tt.overrides)
			got := append(append(p.milterChecks([]string{ourSocket}, nil), p.tlsChecks()...), slices.Concat(p.filterChecks(), p.limitChecks())...)
			expect(t, got, tt.want)
		})
	}
}

// TestFront: what stands in front of Postfix hides the peers, or their TLS.
func TestFront(t *testing.T) {
	for line, want := range map[string]string{
		"smtpd_upstream_proxy_protocol = haproxy":       "note front: their TLS is seen only if the proxy passes STARTTLS through",
		"smtpd_authorized_xclient_hosts = 192.0.2.9":    "note front: the TLS is their own",
		"smtpd_milter_maps = cidr:/etc/postfix/milters": "note front: other milters than smtpd_milters, or none",
	} {
		expect(t, parse(mainCF(line), stockServices, "").limitChecks(), []string{want})
	}
	expect(t, parse(mainCF(), stockServices, "").limitChecks(), nil)
	expect(t, parse(mainCF("smtpd_milter_maps = cidr:/x"), stockServices, "smtp/inet/smtpd_milter_maps =").limitChecks(), nil)
	expect(t, parse(mainCF(), stockServices, "smtp/inet/smtpd_upstream_proxy_protocol = haproxy\nsubmission/inet/smtpd_milter_maps = x").limitChecks(), []string{"note front: passes STARTTLS through"})
	expect(t, parse(mainCF("postscreen_upstream_proxy_protocol = haproxy"), "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\n", "").limitChecks(),
		[]string{"note front: peers' addresses come from a proxy"})
	behind := parse(mainCF(), "10025 inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\n", "10025/inet/postscreen_upstream_proxy_protocol = haproxy")
	expect(t, behind.limitChecks(), []string{"note front: peers' addresses come from a proxy"})
	expect(t, behind.milterChecks([]string{ourSocket}, nil), []string{"ok milter: service smtpd "})
}

// TestHost: what of the host keeps the peers, or Postfix, from us.
func TestHost(t *testing.T) {
	for file, want := range map[string][]string{
		"/none": nil, "/.dockerenv": {"note front: this is a container"}, "/run/.containerenv": {"note front: this is a container"},
		"/sys/fs/selinux/enforce": {"note socket: SELinux is enforcing"},
	} {
		root := t.TempDir()
		if err := errors.Join(os.MkdirAll(filepath.Dir(root+file), 0o700), os.WriteFile(root+file, []byte("1"), 0o600)); err != nil {
			t.Fatal(err)
		}
		expect(t, hostChecks(root), want)
	}
	root := t.TempDir()
	if err := errors.Join(os.MkdirAll(root+"/sys/fs/selinux", 0o700), os.WriteFile(root+"/sys/fs/selinux/enforce", []byte("0"), 0o600)); err != nil {
		t.Fatal(err)
	}
	expect(t, hostChecks(root), nil)
}

// TestFreeBytes: what df(1) prints is read.
func TestFreeBytes(t *testing.T) {
	if free, err := freeBytes(t.Context(), t.TempDir()); err != nil || free <= 0 {
		t.Errorf("%d bytes, %v", free, err)
	}
	if free, err := freeBytes(t.Context(), "/no/such/folder"); err == nil {
		t.Errorf("%d bytes of nothing", free)
	}
}

// TestOtherPort: where a chrooted smtpd(8) sees no socket, it is to use the port.
func TestOtherPort(t *testing.T) {
	p := parse(mainCF("queue_directory = /srv/queue", "smtpd_milters = "), stockServices, "submission/inet/smtpd_milters =")
	expect(t, p.milterChecks([]string{ourSocket, "inet:127.0.0.1:8891"}, nil), []string{"broken milter: has no milter | " + Entry("inet:127.0.0.1:8891")})
}

// TestInstances: other instances of Postfix are pointed out, not looked at.
func TestInstances(t *testing.T) {
	expect(t, parse(mainCF(), stockServices, "").instanceChecks(), nil)
	expect(t, parse(mainCF("config_directory = /etc/postfix", "multi_instance_directories = /etc/postfix-in, /etc/a b"), stockServices, "").instanceChecks(), []string{
		"note instances: /etc/postfix-in is another instance of Postfix: only /etc/postfix is looked at | tlsratchet doctor --postfix /etc/postfix-in",
		"note instances: /etc/a", "note instances: b",
	})
}

// TestLinkedSocket: a path that reaches our socket by a link is ours.
func TestLinkedSocket(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "queue/tlsratchet"), 0o755), os.Symlink("queue", filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	p := parse(mainCF("queue_directory = "+filepath.Join(dir, "link")), stockServices, "submission/inet/smtpd_milters =")
	expect(t, p.milterChecks([]string{filepath.Join(dir, "queue/tlsratchet/tlsratchet.sock")}, nil), []string{"ok milter"})
}

func TestPort(t *testing.T) {
	sockets := []string{"inet:127.0.0.1:8891"}
	p := parse(mainCF("smtpd_milters = "+Entry("inet:127.0.0.1:8891")), stockServices, "submission/inet/smtpd_milters =")
	expect(t, p.milterChecks(sockets, nil), []string{"ok milter"})
	// A listener on all addresses, as the fix names it.
	expect(t, p.milterChecks([]string{"inet::8891"}, nil), []string{"ok milter"})
	p = parse(mainCF("smtpd_milters = "), stockServices, "")
	expect(t, p.milterChecks(sockets, nil), []string{"broken milter: inet:127.0.0.1:8891 | " + Entry("inet:127.0.0.1:8891"), "note submission: "})
}

func expect(t *testing.T, got []Finding, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) {
			t.Fatalf("got %+v\nwant %q", got, want)
		}
		head, fix, _ := strings.Cut(want[i], " | ")
		kind, text, _ := strings.Cut(head, ": ")
		if f := got[i]; string(f.Severity)+" "+f.Check != kind || !strings.Contains(f.Text, text) || !strings.Contains(f.Fix, fix) {
			t.Errorf("got %+v\nwant %q", f, want[i])
		}
	}
}

func TestParseMilters(t *testing.T) {
	got := parseMilters(" { unix:a, default_action=accept,connect_timeout = 2s } inet:b:1,{},unix:c\n\t{ inet:d:2 }")
	var names []string
	for _, m := range got {
		names = append(names, m.endpoint)
	}
	if s := strings.Join(names, " "); s != "unix:a inet:b:1 unix:c inet:d:2" {
		t.Errorf("got %s", s)
	}
	if p := parse("", "", ""); p.option(service{}, got[0], "milter_", "default_action") != "accept" {
		t.Errorf("options %v", got[0].options)
	}
}

func FuzzParseMilters(f *testing.F) {
	f.Add("{ unix:a, default_action=accept } inet:b:1")
	f.Add("{{},,")
	f.Fuzz(func(t *testing.T, s string) { parseMilters(s) })
}

func TestSocketAndMemory(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	p := parse(mainCF("mail_owner = "+me.Username), stockServices, "")
	dir, err := os.MkdirTemp("", "doctor") // every user may enter it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	expect(t, []Finding{p.socketCheck(socket, false)}, []string{"broken socket: does not exist"})
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, []Finding{p.socketCheck(socket, false)}, []string{"ok socket: answers"})
	if err := os.Chmod(socket, 0o060); err != nil {
		t.Fatal(err)
	}
	expect(t, []Finding{p.socketCheck(socket, false)}, []string{"broken socket: closed to Postfix's user"})
	os.Chmod(socket, 0o660)
	if err := os.Chmod(dir, 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, []Finding{p.socketCheck(socket, false)}, []string{"broken socket: can't enter " + dir})
	os.Chmod(dir, 0o700)
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	ln.Close()
	os.Chmod(socket, 0o660)
	expect(t, []Finding{p.socketCheck(socket, false)}, []string{"broken socket: nothing answers"})

	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	expect(t, memoryChecks(t.Context(), Options{Now: now}), []string{"note memory: a restart forgets it"})
	history := filepath.Join(dir, "history.db")
	expect(t, memoryChecks(t.Context(), Options{Now: now, History: history}), []string{"note memory: no history yet"})
	if err := os.WriteFile(history, make([]byte, 4096), 0o644); err != nil {
		t.Fatal(err)
	}
	all := memoryChecks(t.Context(), Options{Now: now, History: history, Newest: "2026-11-24"})
	expect(t, all, []string{"ok memory: 4 KiB", "note memory: it names your peers | chmod 0600", "broken clock: the newest record is of 2026-11-24"})
	if out, err := exec.Command("sh", "-c", all[1].Fix).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", all[1].Fix, err, out)
	}
	for _, newest := range []string{"", "never", "2026-11-22", "2026-11-23"} { // over the date line it is tomorrow
		expect(t, memoryChecks(t.Context(), Options{Now: now, History: history, Newest: newest}), []string{"ok memory: 4 KiB"})
	}
	expect(t, memoryChecks(t.Context(), Options{Now: now, History: history, Newest: "never", Trouble: "it can't be written\nno snapshot of it\n"})[1:],
		[]string{"broken memory: it can't be written", "broken memory: no snapshot of it"})
}

// TestEndpoint: how Postfix is to name a socket of ours.
func TestEndpoint(t *testing.T) {
	p := parse(mainCF(), stockServices, "")
	for _, tt := range []struct {
		sockets []string
		chroot  bool
		want    string
	}{
		{nil, false, ""}, {[]string{"/run/a.sock"}, false, "unix:/run/a.sock"}, {[]string{"/run/a.sock"}, true, ""},
		{[]string{"/run/a.sock", "/var/spool/postfix/b.sock"}, true, "unix:b.sock"}, {[]string{"/run/a.sock", "inet:192.0.2.1:9"}, true, "inet:192.0.2.1:9"},
		{[]string{"inet:0.0.0.0:9"}, false, "inet:127.0.0.1:9"}, {[]string{"inet:[::]:9"}, false, "inet:[::1]:9"}, {[]string{"inet::9"}, false, "inet:127.0.0.1:9"},
	} {
		if got := p.endpoint(tt.chroot, tt.sockets); got != tt.want {
			t.Errorf("%q, chrooted %t: %q, want %q", tt.sockets, tt.chroot, got, tt.want)
		}
	}
}

// TestEntryKeepsTimes: times that are not much longer than ours stay.
func TestEntryKeepsTimes(t *testing.T) {
	m := parseMilters("{ unix:a, connect_timeout=10s, command_timeout=26s, content_timeout=1s, default_action=reject }")[0]
	if got, want := m.with("unix:b"), "{ unix:b, default_action=accept, connect_timeout=10s, command_timeout=5s, content_timeout=1s }"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestHostOfPostfix: what Check looks at beside Postfix's settings.
func TestHostOfPostfix(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	listener := "inet:" + ln.Addr().String()
	found := Check(t.Context(), parse(mainCF("smtpd_milters = "+Entry(listener)), stockServices, "submission/inet/smtpd_milters ="), Options{Sockets: []string{listener}, Now: time.Now()})
	expect(t, found[:2], []string{"ok milter", "ok socket: " + listener + " answers"})
	if i := slices.IndexFunc(found, func(f Finding) bool { return f.Check == "own mx" }); i >= 0 {
		t.Errorf("the self-check is off: %+v", found[i])
	}
	p := parse(mainCF("mail_owner = no-such-user"), stockServices, "")
	expect(t, []Finding{p.socketCheck("/no/such.sock", true)}, []string{"broken socket: was deleted under the running daemon"})
	expect(t, []Finding{p.socketCheck("/", true)}, []string{"note socket: mail_owner = no-such-user"})
}

// TestPolicyKeepsEndpoint: an entry that reaches us stays at its endpoint.
func TestPolicyKeepsEndpoint(t *testing.T) {
	p := parse(mainCF(endList+" = check_policy_service inet:127.0.0.1:8892"), stockServices, "")
	if fix := p.policyFix(p.services[0], endList, []string{"/var/spool/postfix/p.sock", "inet:127.0.0.1:8892"}); !strings.Contains(fix, PolicyEntry("inet:127.0.0.1:8892")) {
		t.Error(fix)
	}
}
