package e2e

import (
	"crypto/tls"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
)

// all shows every verdict in the mail itself.
const all = "header = \"all\"\n"

func TestSessions(t *testing.T) {
	in := newPostfix(t, posttest.Options{
		Parts:     []string{"main.cf.tls", "main.cf.tlsratchet", "main.cf.client-certs"},
		Listeners: []posttest.Listener{{}, {Options: []string{"smtpd_tls_security_level=none"}}, {Options: []string{"smtpd_sasl_auth_enable=yes", "smtpd_tls_auth_only=no"}}},
		Users:     map[string]string{"alice": "secret"},
	})
	for _, tt := range scenarios {
		t.Run(tt.name, func(t *testing.T) { tt.run(world{T: t, Instance: in}) })
	}
}

// TestPolicySessions are the same scenarios where Postfix asks the policy
// service, and no milter.
func TestPolicySessions(t *testing.T) {
	in := newPostfix(t, posttest.Options{
		Parts:     []string{"main.cf.tls", "main.cf.policy", "main.cf.client-certs"},
		Listeners: []posttest.Listener{{}, {Options: []string{"smtpd_tls_security_level=none"}}, {Options: []string{"smtpd_sasl_auth_enable=yes", "smtpd_tls_auth_only=no"}}},
		Users:     map[string]string{"alice": "secret"},
	})
	for _, tt := range scenarios {
		if tt.milterOnly == "" {
			t.Run(tt.name, func(t *testing.T) { tt.run(world{T: t, Instance: in, policy: true}) })
		}
	}
}

// scenarios are what both doors do alike.
var scenarios = []struct {
	name string
	run  func(world)
	// milterOnly is why it is no scenario of the policy service.
	milterOnly string
}{
	{"new, then steady over TLS 1.2 and 1.3, resumed", steady, ""},
	{"stripped", stripped, ""},
	{"a pin of five days, by the defaults", fiveDays, ""},
	{"weakened from 1.3 to 1.2", weakened, ""},
	{"unauthenticated", unauthenticated, ""},
	{"messages two and three of a session", laterMessages, ""},
	{"RSET, EHLO again, pipelining", dialogue, ""},
	{"SASL-authenticated", authenticated, ""},
	{"exempt network", exemptNetwork, ""},
	{"unconfirmed name, DNS away", unconfirmed, ""},
	{"IPv6", ipv6, ""},
	{"null sender", nullSender, ""},
	{"postmaster beside another recipient", postmaster, ""},
	{"a relay-denied recipient teaches nothing", relayDenied, ""},
	{"forged header", forged, "they stay, see TestPolicyForged"},
	{"a header of 100,000 bytes", longHeader, ""},
	{"quarantine is the hold queue", quarantine, ""},
	{"a port without STARTTLS refuses nobody", noSTARTTLS, ""},
	{"kill -9 between two messages", killed, ""},
	{"SIGTERM during a session", drained, "there is no session: a request is answered or not"},
	{"SMTPUTF8 sender", utf8Sender, ""},
}

func steady(w world) {
	w.serve("", all, "--pin-after-days", "1")
	w.has(w.delivered(w.bank("192.0.2.10", w.tls13()), mail("new")), "new; identity=address:192.0.2.10; pin=TLSv1.2; seen=TLSv1.3")
	w.has(w.delivered(w.bank("192.0.2.10", w.tls13()), mail("steady 1.3")), "steady; identity=address:192.0.2.10; pin=TLSv1.2; seen=TLSv1.3")
	w.has(w.delivered(w.bank("192.0.2.10", w.tls12()), mail("steady 1.2")), "steady; identity=address:192.0.2.10; pin=TLSv1.2; seen=TLSv1.2")
	resumed := w.tls12()
	resumed.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	w.delivered(w.bank("192.0.2.10", resumed), mail("for the ticket"))
	c := w.connect(w.bank("192.0.2.10", resumed))
	if !c.TLS().DidResume {
		w.Error("the session was not resumed")
	}
	w.say(c, mail("resumed"))
	w.has(w.header(mail("resumed")), "steady; identity=address:192.0.2.10; pin=TLSv1.2; seen=TLSv1.2")
}

func stripped(w world) {
	d := w.serve("", "", "--pin-after-days", "1")
	if got := w.delivered(w.bank("192.0.2.11", w.tls13()), mail("before the strip")); got != "" {
		w.Errorf("a header on mail in good order: %s", got)
	}
	today := tlsstate.DayOf(time.Now()).String()
	w.has(w.delivered(w.bank("192.0.2.11", plain()), mail("stripped")),
		"downgrade; kind=stripped; identity=address:192.0.2.11; pin=TLSv1.2; seen=none; since="+today+"; days=1/64")
	line := d.wait("msg=downgrade")
	for _, want := range []string{"level=WARN", "kind=stripped", "action=header", "identity=address:192.0.2.11", "client=mx1.bank.example[192.0.2.11]",
		"pin=TLSv1.2", "seen=none", "days=1/64", "from=<alice@bank.example>", "queue_id=", `why="address:192.0.2.11 came in clear; it used TLSv1.2 or better on 1 of the last 64 days`} {
		w.has(line, want)
	}
	// From another address of the same domain: marked, under the domain's pin.
	w.has(w.delivered(w.bank("203.0.113.11", plain()), mail("stripped elsewhere")), "kind=stripped; identity=domain:bank.example")
	for _, action := range []string{"tempfail", "reject"} {
		d.stop(syscall.SIGTERM)
		d = w.serve(d.history, "", "--pin-after-days", "1", "--action", action)
		r := w.send(w.bank("192.0.2.11", plain()), mail("refused"))
		want := map[string]string{"tempfail": "451 4.7.1 ", "reject": "550 5.7.1 "}[action]
		w.has(r.String(), want)
		w.has(r.String(), "TLS required: you used it on")
		w.has(d.wait("msg=downgrade"), "to=<bob@ours.example>")
	}
	if _, err := w.Log().Wait(limit(w.T), regexp.MustCompile(`reject: RCPT from mx1\.bank\.example\[192\.0\.2\.11\]: 550 5\.7\.1 .*to=<bob@ours\.example>`)); err != nil {
		w.Error(err)
	}
}

func fiveDays(w world) {
	history := taught(w.T, tlsstate.TLS13, 5, "address:192.0.2.29", "domain:bank.example", listener(w.Addr(0)))
	d := w.serve(history, "")
	w.has(w.delivered(w.bank("192.0.2.29", plain()), mail("after five days")), "kind=stripped; identity=address:192.0.2.29; pin=TLSv1.2; seen=none;")
	w.has(d.wait("msg=downgrade"), "days=5/64")
}

func weakened(w world) {
	w.serve("", "[policy]\npin_up_to = \"TLSv1.3\"\npin_after_days = 1\nweakened = \"reject\"\n")
	w.delivered(w.bank("192.0.2.12", w.tls13()), mail("1.3"))
	r := w.send(w.bank("192.0.2.12", w.tls12()), mail("1.2")).String()
	w.has(r, "550 5.7.1 ")
	w.has(r, "192.0.2.12: TLSv1.3 or better required: you used it on 1 of the last 64 days")
}

func unauthenticated(w world) {
	d := w.serve("", "[policy]\npin_after_days = 1\nunauthenticated = \"header\"\n")
	partner := w.tls13()
	cert, err := w.CA().Issue("partner.example")
	if err != nil {
		w.Fatal(err)
	}
	partner.Certificates = []tls.Certificate{cert}
	w.delivered(w.bank("192.0.2.13", partner), mail("with a certificate"))
	w.has(w.delivered(w.bank("192.0.2.13", w.tls13()), mail("without it")), "downgrade; kind=unauthenticated; identity=address:192.0.2.13; pin=certificate")
	w.has(d.wait("kind=unauthenticated"), "it showed it on 1 of the last 64 days")
}

func laterMessages(w world) {
	d := w.serve("", "", "--pin-after-days", "1")
	good := w.connect(w.bank("192.0.2.14", w.tls13()))
	for _, s := range []string{"good 1", "good 2", "good 3"} {
		w.say(good, mail(s))
		if got := w.header(mail(s)); got != "" {
			w.Errorf("%s: %s", s, got)
		}
	}
	bad := w.connect(w.bank("192.0.2.14", plain()))
	for _, s := range []string{"bad 1", "bad 2", "bad 3"} {
		w.say(bad, mail(s))
		w.has(w.header(mail(s)), "kind=stripped")
	}
	if n := len(d.downgrades()); n != 3 {
		w.Errorf("%d lines, want 3", n)
	}
}

func dialogue(w world) {
	d := w.serve("", "", "--pin-after-days", "1")
	w.delivered(w.bank("192.0.2.15", w.tls13()), mail("dialogue 1"))
	c := w.connect(w.bank("192.0.2.15", plain()))
	for _, line := range []string{"MAIL FROM:<alice@bank.example>", "RCPT TO:<bob@ours.example>", "RSET", "MAIL FROM:<alice@bank.example>", "EHLO again.example"} {
		if r, err := c.Cmd(line); err != nil || !r.OK() {
			w.Fatalf("%s: %s, %v", line, r, err)
		}
	}
	replies, err := c.Pipeline("MAIL FROM:<alice@bank.example>", "RCPT TO:<bob@ours.example>", "RCPT TO:<carol@ours.example>", "DATA")
	if err != nil || replies[3].Code != 354 {
		w.Fatalf("pipelined: %v, %v", replies, err)
	}
	if r, err := c.Cmd("Subject: dialogue 2\r\n\r\nhello\r\n."); err != nil || !r.OK() {
		w.Fatalf("%s, %v", r, err)
	}
	w.has(w.header(mail("dialogue 2")), "kind=stripped")
	lines := d.downgrades()
	if len(lines) != 2 || !strings.Contains(lines[0], "done=false") || strings.Contains(lines[1], "done=false") {
		w.Errorf("want a line for the message given up after RCPT and one for the message: %q", lines)
	}
}

func authenticated(w world) {
	d := w.serve("", all, "--pin-after-days", "1")
	p := w.bank("192.0.2.16", w.tls13())
	w.delivered(p, mail("pinned before login"))
	p.Server, p.TLS, p.User, p.Password = w.Addr(2), nil, "alice", "secret"
	w.has(w.delivered(p, mail("logged in")), "exempt")
	if h := d.remembered("address:192.0.2.16"); h.Seen[tlsstate.Plaintext] != 0 {
		w.Error("an authenticated session was learned")
	}
}

func exemptNetwork(w world) {
	d := w.serve("", all+"exempt_networks = [\"192.0.2.0/28\"]\n", "--pin-after-days", "1")
	w.has(w.delivered(w.bank("192.0.2.5", w.tls13()), mail("exempt over TLS")), "exempt")
	w.has(w.delivered(w.bank("192.0.2.5", plain()), mail("exempt in clear")), "exempt")
	w.has(w.delivered(w.bank("192.0.2.17", w.tls13()), mail("not exempt")), "new")
	if h := d.remembered("address:192.0.2.5"); h != (tlsstate.History{}) {
		w.Errorf("learned: %+v", h)
	}
}

func unconfirmed(w world) {
	d := w.serve("", all, "--pin-after-days", "1")
	p := w.bank("192.0.2.18", w.tls13())
	w.delivered(p, mail("confirmed"))
	for i, name := range []string{"NAME=[UNAVAILABLE]", "NAME=[TEMPUNAVAIL]"} {
		p.TLS, p.XCLIENT[0] = nil, name
		w.has(w.delivered(p, mail("unconfirmed"+string(rune('0'+i)))), "kind=stripped; identity=address:192.0.2.18")
	}
	w.has(d.wait("msg=downgrade"), "client=unknown[192.0.2.18]")
}

func ipv6(w world) {
	w.serve("", all, "--pin-after-days", "1")
	p := w.bank("IPV6:2001:db8:1:2::25", w.tls13())
	w.has(w.delivered(p, mail("v6")), "new; identity=address:2001:db8:1:2::25")
	p.TLS = nil
	w.has(w.delivered(p, mail("v6 stripped")), "kind=stripped; identity=address:2001:db8:1:2::25")
	p.XCLIENT[1] = "ADDR=IPV6:2001:db8:1:2::26" // a neighbour in the same /64 is another peer
	w.has(w.delivered(p, mail("v6 neighbour")), "kind=stripped; identity=domain:bank.example")
}

func nullSender(w world) {
	w.serve("", "", "--pin-after-days", "1", "--action", "tempfail")
	w.delivered(w.bank("192.0.2.19", w.tls13()), mail("not null"))
	c := w.connect(w.bank("192.0.2.19", plain()))
	m := mail("null")
	m.From = ""
	exchanges := w.say(c, m)
	for _, e := range exchanges[:len(exchanges)-1] {
		if !e.Reply.OK() {
			w.Errorf("%s: %s: a callout would fail", e.Command, e.Reply)
		}
	}
	w.has(exchanges[len(exchanges)-1].Reply.String(), "451 4.7.1 ")
}

func postmaster(w world) {
	w.serve("", "", "--pin-after-days", "1", "--action", "tempfail")
	w.delivered(w.bank("192.0.2.20", w.tls13()), mail("pinned"))
	c := w.connect(w.bank("192.0.2.20", plain()))
	m := mail("to postmaster too")
	m.To = []string{"bob@ours.example", "PostMaster@ours.example", "carol@ours.example"}
	var codes []int
	for _, e := range w.say(c, m) {
		codes = append(codes, e.Reply.Code)
	}
	if len(codes) != 5 || codes[1] != 451 || codes[2] != 250 || codes[3] != 451 || codes[4] != 250 {
		w.Errorf("MAIL, three RCPT and the message: %v", codes)
	}
	w.has(w.header(m), "kind=stripped")
}

func relayDenied(w world) {
	d := w.serve("", "", "--pin-after-days", "1")
	m := mail("relay")
	m.To = []string{"somebody@elsewhere.example"}
	if r := w.send(w.bank("192.0.2.21", w.tls13()), m); r.OK() {
		w.Fatalf("relayed: %s", r)
	}
	if h := d.remembered("address:192.0.2.21"); h != (tlsstate.History{}) {
		w.Errorf("learned: %+v", h)
	}
}

func forged(w world) {
	w.serve("", "", "--pin-after-days", "1")
	w.delivered(w.bank("192.0.2.22", w.tls13()), mail("true"))
	m := mail("forged")
	m.Header = append([]string{"X-TLS-Ratchet: steady", "x-tls-ratchet: raised"}, m.Header...)
	w.has(w.delivered(w.bank("192.0.2.22", plain()), m), "downgrade; kind=stripped")
	many := mail("forged many times")
	for range 30 {
		many.Header = append([]string{"X-TLS-Ratchet: steady"}, many.Header...)
	}
	if r := w.send(w.bank("192.0.2.22", plain()), many); !r.OK() {
		w.Fatal(r)
	}
	got, err := w.WaitMail(limit(w.T), posttest.Subject("forged many times"))
	if err != nil {
		w.Fatal(err)
	}
	if all := got.Header["X-Tls-Ratchet"]; len(all) != 11 || !strings.HasSuffix(all[0], "forged=10") {
		w.Errorf("want ours, which counts them, and 10 of 30 copies: %q", all)
	}
}

// Postfix cuts a header at 60,000 bytes, whatever header_size_limit is: no packet is
// too big for us.
func longHeader(w world) {
	w.serve("", "", "--pin-after-days", "1")
	w.delivered(w.bank("192.0.2.28", w.tls13()), mail("short"))
	m := mail("long")
	m.Header = append(m.Header, "X-Long: "+strings.Repeat(strings.Repeat("x", 990)+"\r\n\t", 100)+"end")
	w.has(w.delivered(w.bank("192.0.2.28", plain()), m), "kind=stripped")
}

func quarantine(w world) {
	w.serve("", "", "--pin-after-days", "1", "--action", "quarantine")
	w.delivered(w.bank("192.0.2.23", w.tls13()), mail("free"))
	if r := w.send(w.bank("192.0.2.23", plain()), mail("held")); !r.OK() {
		w.Fatal(r)
	}
	q, err := w.WaitQueue(limit(w.T), func(q posttest.Queued) bool { return q.Queue == "hold" })
	if err != nil {
		w.Fatal(err)
	}
	text, err := w.Cat(limit(w.T), q.ID)
	if err != nil {
		w.Fatal(err)
	}
	w.has(text, "X-TLS-Ratchet: downgrade; kind=stripped")
	if err := w.Release(limit(w.T), q.ID); err != nil {
		w.Fatal(err)
	}
	w.has(w.header(mail("held")), "kind=stripped")
}

func noSTARTTLS(w world) {
	d := w.serve("", all, "--pin-after-days", "1", "--action", "reject")
	p := w.bank("192.0.2.24", w.tls13())
	w.delivered(p, mail("where there is STARTTLS"))
	p.Server, p.TLS = w.Addr(1), nil
	w.has(w.delivered(p, mail("where there is none")), "kind=stripped; identity=address:192.0.2.24") // marked, not refused
	if h := d.remembered("address:192.0.2.24"); h.Seen[tlsstate.Plaintext] != 0 {
		w.Error("it taught something")
	}
}

func killed(w world) {
	d := w.serve("", "", "--pin-after-days", "1")
	w.delivered(w.bank("192.0.2.25", w.tls13()), mail("before the kill"))
	d.pinIsWritten("address:192.0.2.25")
	d.stop(syscall.SIGKILL)
	w.delivered(w.bank("192.0.2.25", plain()), mail("nobody home")) // default_action=accept
	w.serve(d.history, "", "--pin-after-days", "1")
	w.has(w.delivered(w.bank("192.0.2.25", plain()), mail("after the kill")), "kind=stripped")
}

// A message under way at SIGTERM gets its answer; the rest of the session goes
// on without us.
func drained(w world) {
	d := w.serve("", "", "--pin-after-days", "1", "--action", "tempfail")
	w.delivered(w.bank("192.0.2.26", w.tls13()), mail("before the drain"))
	c := w.connect(w.bank("192.0.2.26", plain()))
	if r, err := c.Mail("alice@bank.example"); err != nil || !r.OK() {
		w.Fatalf("%s, %v", r, err)
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		w.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	r, err := c.Rcpt("bob@ours.example")
	if err != nil {
		w.Fatal(err)
	}
	w.has(r.String(), "451 4.7.1 ")
	if r, err := c.Cmd("RSET"); err != nil || !r.OK() {
		w.Fatalf("RSET: %s, %v", r, err)
	}
	if err := d.cmd.Wait(); err != nil {
		w.Errorf("exit: %v", err)
	}
	if r := w.say(c, mail("after the drain")); !r[len(r)-1].Reply.OK() {
		w.Errorf("without us: %v", r)
	}
}

func utf8Sender(w world) {
	d := w.serve("", "", "--pin-after-days", "1")
	w.delivered(w.bank("192.0.2.27", w.tls13()), mail("ascii"))
	m := mail("utf8")
	m.From, m.Params = "j\u00fcrgen@b\u00fccher.example", []string{"SMTPUTF8"}
	w.has(w.delivered(w.bank("192.0.2.27", plain()), m), "kind=stripped")
	w.has(d.wait("msg=downgrade"), "from=<j??rgen@b??cher.example>")
}
