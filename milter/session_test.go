package milter

import (
	"bytes"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	gomilter "github.com/emersion/go-milter"

	"tlsratchet/internal/inbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// scripted is a judge with one answer, which notes what it is asked.
type scripted struct {
	decision ratchet.Decision
	panics   bool // in Learn
	judged   []string
	learned  int
}

func (j *scripted) Decide(s *ratchet.Session) ratchet.Decision {
	j.judged = append(j.judged, s.Peer.Address.Name+" "+s.Level.String())
	return j.decision
}

func (j *scripted) Learn(*ratchet.Session, *ratchet.Decision) {
	if j.learned++; j.panics {
		panic("learn")
	}
}

// unit is a session without a socket, with what it logged and emitted.
type unit struct {
	*session
	log    bytes.Buffer
	events []ratchet.Event
	seen   []string
}

func newUnit(j inbound.Judge, o inbound.Options) *unit {
	u := &unit{}
	m := New(inbound.Deps{
		Judge: j, Now: time.Now, Events: func(e ratchet.Event) { u.events = append(u.events, e) },
		Log: slog.New(slog.NewTextHandler(&u.log, nil)),
	}, o, func(c *inbound.Client, port string) { u.seen = append(u.seen, c.Facts.Client.Addr+" "+port) })
	u.session = m.Backend().(*session)
	return u
}

func macros(addr, version string) *gomilter.Modifier {
	m := map[string]string{"{client_addr}": addr, "{client_port}": "40000", "{daemon_addr}": "198.51.100.1", "{daemon_port}": "25"}
	if version != "" {
		m["{tls_version}"], m["{cipher}"], m["{cipher_bits}"] = version, "TLS_AES_256_GCM_SHA384", "256"
	}
	return &gomilter.Modifier{Macros: m}
}

func (u *unit) answers(t *testing.T, want gomilter.Response, got gomilter.Response, err error) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("answer %v, %v: want %v", got, err, want)
	}
}

// TestPanicInEachCallback: each answers "accept" all the same, and the first
// panic of all is logged with its stack.
func TestPanicInEachCallback(t *testing.T) {
	j := &scripted{decision: ratchet.Decision{Changes: true}, panics: true}
	u := newUnit(j, inbound.Options{})
	for range 2 {
		resp, err := u.MailFrom("ann@bank.example", macros("192.0.2.10", ""))
		u.answers(t, goOn, resp, err)
		resp, err = u.RcptTo("bob@ours.example", nil)
		u.answers(t, accept, resp, err)
	}
	resp, err := u.MailFrom("", macros("192.0.2.10", ""))
	u.answers(t, goOn, resp, err)
	resp, err = u.Body(macros("192.0.2.10", ""))
	u.answers(t, accept, resp, err)

	u.m.Events = func(ratchet.Event) { panic("event") }
	u.Decision.Outcome, u.First = tlsstate.Downgraded, "bob@ours.example"
	if err := u.Abort(nil); err != nil {
		t.Error(err)
	}
	lines := strings.Split(strings.TrimSpace(u.log.String()), "\n")
	if len(lines) != 4 || u.m.Failures() != 4 || !strings.Contains(lines[0], "stack=") || strings.Count(u.log.String(), "stack=") != 1 {
		t.Errorf("%d troubles:\n%s", u.m.Failures(), &u.log)
	}
}

// TestNothingIsLeftOver: no message is judged by what came with the one before
// it, not where the client is another (XCLIENT) nor where no ABORT came between.
func TestNothingIsLeftOver(t *testing.T) {
	j := &scripted{decision: ratchet.Decision{Verdict: tlsstate.Verdict{Outcome: tlsstate.Downgraded, Action: tlsstate.Tempfail}}}
	u := newUnit(j, inbound.Options{})
	u.MailFrom("ann@bank.example", macros("192.0.2.10", "TLSv1.3"))
	u.RcptTo("bob@ours.example", nil)
	u.Header("X-TLS-Ratchet", "forged", nil)
	u.MailFrom("ann@bank.example", macros("192.0.2.10", "TLSv1.3"))
	u.MailFrom("ann@bank.example", macros("192.0.2.11", ""))
	if want := []string{"192.0.2.10 TLSv1.3", "192.0.2.10 TLSv1.3", "192.0.2.11 none"}; !reflect.DeepEqual(j.judged, want) {
		t.Errorf("judged %q, want %q", j.judged, want)
	}
	if want := []string{"192.0.2.10 40000", "192.0.2.10 40000", "192.0.2.11 40000"}; !reflect.DeepEqual(u.seen, want) {
		t.Errorf("seen %q, want %q", u.seen, want)
	}
	if u.copies != 0 || u.First != "" {
		t.Errorf("left over: %+v", u.session)
	}
	u.RcptTo("bob@ours.example", nil)
	u.Abort(nil)
	if len(u.events) != 2 || j.learned != 2 || u.Judged() {
		t.Errorf("%d events, learned %d times, judged %v", len(u.events), j.learned, u.Judged())
	}
}

// TestRulesChangeWithinAConnection: what the rules made of a message's
// certificate is not left over where the next one falls under other rules.
func TestRulesChangeWithinAConnection(t *testing.T) {
	rules := func(by tlsstate.CertPins) *tlsstate.Rules {
		policy := tlsstate.DefaultPolicy()
		policy.PinCertificates = by
		r, err := tlsstate.NewRules(policy, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	histories := store.NewMemory(100)
	defer histories.Close()
	judge := ratchet.New(ratchet.Options{Histories: histories, Rules: rules(tlsstate.CertByIssuer), Log: slog.New(slog.DiscardHandler)})
	now := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	u := newUnit(judge, inbound.Options{})
	u.m.Now = func() time.Time { return now }
	partner := macros("192.0.2.10", "TLSv1.3")
	partner.Macros["{cert_subject}"], partner.Macros["{cert_issuer}"] = "partner.example", "CA"
	for i := range 7 {
		now = now.AddDate(0, 0, 1)
		switch i {
		case 5:
			judge.SetRules(rules(tlsstate.CertByKey))
		case 6:
			judge.SetRules(rules(tlsstate.CertByIssuer))
		}
		u.MailFrom("ann@partner.example", partner)
		u.RcptTo("bob@ours.example", nil)
	}
	if v := u.Decision.Verdict; v.Outcome != tlsstate.Steady || !v.Seen.Certificate {
		t.Errorf("%s %s: %+v", v.Outcome, v.Kind, v.Seen)
	}
}

// TestLearnsOnce: however many recipients there are, a message is learned once
// and reported once.
func TestLearnsOnce(t *testing.T) {
	j := &scripted{decision: ratchet.Decision{Changes: true}}
	u := newUnit(j, inbound.Options{HeaderAll: true})
	u.MailFrom("ann@bank.example", macros("192.0.2.10", "TLSv1.3"))
	u.RcptTo("bob@ours.example", nil)
	u.RcptTo("eve@ours.example", nil)
	if j.learned != 1 {
		t.Errorf("learned %d times", j.learned)
	}
	u = newUnit(j, inbound.Options{})
	u.MailFrom("ann@bank.example", macros("192.0.2.10", "TLSv1.3"))
	u.RcptTo("bob@ours.example", nil)
	if len(u.events) != 1 || !u.events[0].Done {
		t.Errorf("events %+v", u.events)
	}
}

// TestApart: a message without a sender to one recipient that is exempt, and to
// others that are not, is asked for apart; two of a kind are not.
func TestApart(t *testing.T) {
	j := &scripted{decision: ratchet.Decision{Verdict: tlsstate.Verdict{Outcome: tlsstate.Downgraded, Action: tlsstate.Tempfail}}}
	for _, tt := range []struct {
		from, first, second string
		apart               bool
	}{
		{"", "postmaster@ours.example", "bob@ours.example", true},
		{"", "bob@ours.example", "postmaster@ours.example", true},
		{"", "bob@ours.example", "eve@ours.example", false},
		{"", "postmaster@ours.example", "postmaster@theirs.example", false},
		{"ann@bank.example", "postmaster@ours.example", "postmaster@theirs.example", false},
		{"ann@bank.example", "bob@ours.example", "postmaster@ours.example", false},
	} {
		u := newUnit(j, inbound.Options{ExemptRecipients: []string{"postmaster"}})
		u.MailFrom(tt.from, macros("192.0.2.10", ""))
		u.RcptTo(tt.first, nil)
		resp, _ := u.RcptTo(tt.second, nil)
		if apart := !reflect.DeepEqual(resp, gomilter.Response(goOn)); apart != tt.apart {
			t.Errorf("%+v: answer %v", tt, resp)
		}
	}
}

// TestOneWithoutMacros: after a message with facts, one without any is nothing
// that Postfix's settings explain.
func TestOneWithoutMacros(t *testing.T) {
	u := newUnit(&scripted{}, inbound.Options{})
	u.MailFrom("ann@bank.example", macros("192.0.2.10", ""))
	u.MailFrom("ann@bank.example", &gomilter.Modifier{})
	if s := u.log.String(); !strings.Contains(s, "level=WARN") || strings.Contains(s, "level=ERROR") {
		t.Error(s)
	}
	u.m.Failed("message not marked", ratchet.ErrDay)
	if s := u.log.String(); !strings.Contains(s, "level=ERROR") || !strings.Contains(s, "session without a day") {
		t.Error(s)
	}
}

// Sendmail sends the names of any client certificate, and whether it trusts it.
func TestUntrustedCertificate(t *testing.T) {
	for verify, want := range map[string]string{"": "bank", "OK": "bank", "FAIL": "", "SELFSIGNED": ""} {
		f := parseMacros(map[string]string{"{cert_subject}": "bank", "{cert_issuer}": "CA", "{verify}": verify})
		if f.Subject != want || (f.Issuer == "") != (want == "") {
			t.Errorf("verify=%s: %q by %q", verify, f.Subject, f.Issuer)
		}
	}
}

// TestAddress: the argument of MAIL or RCPT as Postfix takes it.
// TestComments: the sender and the recipient are those that Postfix takes.
func TestComments(t *testing.T) {
	j := &scripted{decision: ratchet.Decision{Verdict: tlsstate.Verdict{Outcome: tlsstate.Downgraded, Action: tlsstate.Tempfail}}}
	u := newUnit(j, inbound.Options{ExemptRecipients: []string{"postmaster"}})
	u.MailFrom("a@partner.example(x)", macros("192.0.2.10", ""))
	if u.Session.From != "a@partner.example" {
		t.Errorf("from %q", u.Session.From)
	}
	resp, err := u.RcptTo("postmaster(x)@ours.example", nil)
	u.answers(t, goOn, resp, err)
	if u.MailFrom("(x)", macros("192.0.2.10", "")); !u.Null() {
		t.Errorf("from %q is not the null sender", u.Session.From)
	}
}

// TestMacrosOfEachMessage: a message comes from the client that its own macros state,
// whether they are those of the message before, say the same anew, or nothing.
func TestMacrosOfEachMessage(t *testing.T) {
	j := &scripted{}
	u := newUnit(j, inbound.Options{})
	one, again, other, nobody, none := macros("192.0.2.10", ""), macros("192.0.2.10", ""), macros("192.0.2.20", "TLSv1.3"), macros("", ""), &gomilter.Modifier{}
	var want []string
	for i, mod := range []*gomilter.Modifier{none, none, one, one, again, other, other, one, nobody, nobody, one, none, one} {
		resp, err := u.MailFrom("ann@bank.example", mod)
		u.answers(t, accept, resp, err)
		if addr := mod.Macros["{client_addr}"]; addr != "" {
			level := "none"
			if addr == "192.0.2.20" {
				level = "TLSv1.3"
			}
			want = append(want, addr+" "+level)
		}
		if !slices.Equal(j.judged, want) || len(u.seen) != len(want) {
			t.Fatalf("%d: judged %q, seen %q, want %q", i, j.judged, u.seen, want)
		}
	}
	if n := u.m.NoFacts(); n != 5 {
		t.Errorf("%d messages without facts", n)
	}
}
