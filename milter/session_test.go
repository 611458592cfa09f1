package milter

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/inbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/milter/wire"
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

// downgrade is what a judge decides of a session in clear.
func downgrade(action tlsstate.Action) ratchet.Decision {
	return ratchet.Decision{Verdict: tlsstate.Verdict{Outcome: tlsstate.Downgraded, Kind: tlsstate.Stripped, Action: action}}
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
	}, o, func(ip netip.Addr, port string) { u.seen = append(u.seen, ip.String()+" "+port) }, DefaultLimits())
	u.session = &session{Server: m, ask: &wire.Asker{}}
	return u
}

// event plays a packet, and returns the packets that answer it.
func (u *unit) event(cmd byte, data string) (answers []string) {
	u.onEvent(cmd, []byte(data))
	for out := u.ask.Out; len(out) > 0; {
		end := lengthSize + binary.BigEndian.Uint32(out)
		answers = append(answers, string(out[lengthSize:end]))
		out = out[end:]
	}
	u.ask.Out = nil
	return answers
}

// mail plays MAIL with its macros, and rcpt RCPT; they return the answers.
func (u *unit) mail(from, macros string) string {
	u.event(cmdMacro, macros)
	return strings.Join(u.event(cmdMail, "<"+from+">\x00SIZE=1\x00"), "|")
}

func (u *unit) rcpt(to string) string {
	return strings.Join(u.event(cmdRcpt, "<"+to+">\x00"), "|")
}

// macros are those of MAIL.
func macros(addr, version string, more ...string) string {
	all := append([]string{"{client_addr}", addr, "{client_port}", "40000", "{daemon_addr}", "198.51.100.1", "{daemon_port}", "25"}, more...)
	if version != "" {
		all = append(all, "{tls_version}", version, "{cipher}", "TLS_AES_256_GCM_SHA384", "{cipher_bits}", "256")
	}
	return string(rune(cmdMail)) + strings.Join(all, "\x00") + "\x00"
}

func answers(t *testing.T, want rune, got string) {
	t.Helper()
	if got != string(want) {
		t.Errorf("answer %q, want %q", got, want)
	}
}

// TestPanicInEachCallback: each answers "accept" all the same, and the first
// panic of all is logged with its stack.
func TestPanicInEachCallback(t *testing.T) {
	j := &scripted{decision: ratchet.Decision{Changes: true}, panics: true}
	u := newUnit(j, inbound.Options{})
	for range 2 {
		answers(t, goOn, u.mail("ann@bank.example", macros("192.0.2.10", "")))
		answers(t, accept, u.rcpt("bob@ours.example"))
	}
	answers(t, goOn, u.mail("", macros("192.0.2.10", "")))
	answers(t, accept, strings.Join(u.event(cmdEOM, ""), "|"))

	j.panics, j.decision = false, downgrade(tlsstate.Header)
	answers(t, goOn, u.mail("ann@bank.example", macros("192.0.2.10", "")))
	answers(t, goOn, u.rcpt("bob@ours.example"))
	u.Events = func(ratchet.Event) { panic("event") }
	if got := u.event(cmdAbort, ""); len(got) != 0 || u.Judged() {
		t.Errorf("%q", got)
	}
	answers(t, goOn, u.mail("ann@bank.example", macros("192.0.2.10", "")))
	answers(t, goOn, u.rcpt("bob@ours.example"))
	if got := u.event(cmdEOM, ""); len(got) != 1 || got[0] != "a" { // and no half of a mark
		t.Errorf("%q", got)
	}
	lines := strings.Split(strings.TrimSpace(u.log.String()), "\n")
	if len(lines) != 5 || u.Failures() != 5 || !strings.Contains(lines[0], "stack=") || strings.Count(u.log.String(), "stack=") != 1 {
		t.Errorf("%d troubles:\n%s", u.Failures(), &u.log)
	}
}

// TestNothingIsLeftOver: no message is judged by what came with the one before
// it, not where the client is another (XCLIENT) nor where no ABORT came between.
func TestNothingIsLeftOver(t *testing.T) {
	j := &scripted{decision: downgrade(tlsstate.Tempfail)}
	u := newUnit(j, inbound.Options{})
	u.mail("ann@bank.example", macros("192.0.2.10", "TLSv1.3"))
	u.rcpt("bob@ours.example")
	u.event(cmdHeader, "x-tls-ratchet\x00forged\x00")
	u.mail("ann@bank.example", macros("192.0.2.10", "TLSv1.3"))
	u.mail("ann@bank.example", macros("192.0.2.11", ""))
	if want := []string{"192.0.2.10 TLSv1.3", "192.0.2.10 TLSv1.3", "192.0.2.11 none"}; !reflect.DeepEqual(j.judged, want) {
		t.Errorf("judged %q, want %q", j.judged, want)
	}
	if want := []string{"192.0.2.10 40000", "192.0.2.10 40000", "192.0.2.11 40000"}; !reflect.DeepEqual(u.seen, want) {
		t.Errorf("seen %q, want %q", u.seen, want)
	}
	if u.copies != 0 || u.First != "" {
		t.Errorf("left over: %+v", u.session)
	}
	u.rcpt("bob@ours.example")
	u.event(cmdAbort, "")
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
	u.Now = func() time.Time { return now }
	partner := macros("192.0.2.10", "TLSv1.3", "{cert_subject}", "partner.example", "{cert_issuer}", "CA")
	for i := range 7 {
		now = now.AddDate(0, 0, 1)
		switch i {
		case 5:
			judge.SetRules(rules(tlsstate.CertByKey))
		case 6:
			judge.SetRules(rules(tlsstate.CertByIssuer))
		}
		u.mail("ann@partner.example", partner)
		u.rcpt("bob@ours.example")
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
	u.mail("ann@bank.example", macros("192.0.2.10", "TLSv1.3"))
	u.rcpt("bob@ours.example")
	u.rcpt("eve@ours.example")
	if j.learned != 1 {
		t.Errorf("learned %d times", j.learned)
	}
	u = newUnit(j, inbound.Options{})
	u.mail("ann@bank.example", macros("192.0.2.10", "TLSv1.3"))
	u.rcpt("bob@ours.example")
	if len(u.events) != 1 || !u.events[0].Done {
		t.Errorf("events %+v", u.events)
	}
}

// TestApart: a message without a sender to one recipient that is exempt, and to
// others that are not, is asked for apart; two of a kind are not.
func TestApart(t *testing.T) {
	j := &scripted{decision: downgrade(tlsstate.Tempfail)}
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
		u.mail(tt.from, macros("192.0.2.10", ""))
		u.rcpt(tt.first)
		if got := u.rcpt(tt.second); strings.HasPrefix(got, "y452 ") != tt.apart {
			t.Errorf("%+v: answer %q", tt, got)
		}
	}
}

// TestOneWithoutMacros: after a message with facts, one without any is nothing
// that Postfix's settings explain.
func TestOneWithoutMacros(t *testing.T) {
	u := newUnit(&scripted{}, inbound.Options{})
	u.mail("ann@bank.example", macros("192.0.2.10", ""))
	u.event(cmdAbort, "")
	answers(t, accept, u.mail("ann@bank.example", ""))
	if s := u.log.String(); !strings.Contains(s, "level=WARN") || strings.Contains(s, "level=ERROR") {
		t.Error(s)
	}
}

// Sendmail sends the names of any client certificate, and whether it trusts it.
func TestUntrustedCertificate(t *testing.T) {
	for verify, want := range map[string]string{"": "bank", "OK": "bank", "FAIL": "", "SELFSIGNED": ""} {
		f, _ := parseMacros([]byte("M{verify}\x00" + verify + "\x00{cert_subject}\x00bank\x00{cert_issuer}\x00CA\x00"))
		if f.Subject != want || (f.Issuer == "") != (want == "") {
			t.Errorf("verify=%s: %q by %q", verify, f.Subject, f.Issuer)
		}
	}
}
