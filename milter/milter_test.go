package milter_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tlsratchet/internal/inbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/milter"
	"tlsratchet/milter/wire"
	"tlsratchet/test/mtatest"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

// rig is a milter on a real socket, with the real ratchet behind it.
type rig struct {
	*milter.Milter
	histories *store.Memory
	addr      string

	mu     sync.Mutex
	now    time.Time
	log    bytes.Buffer
	events []string
}

func (r *rig) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) day(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = start.AddDate(0, 0, n-1)
}

// take keeps what a test asks of an event: it is only lent.
func (r *rig) take(e ratchet.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	action := e.AppliedAction().String()
	if e.AppliedAction() != e.Decision.Action {
		action += " (" + e.Decision.Action.String() + ")"
	}
	words := []string{e.Decision.Outcome.String(), e.Decision.Kind.String(), action, "from=" + e.Session.From}
	if e.Recipient != "" {
		words = append(words, "to="+e.Recipient)
	}
	if e.QueueID != "" {
		words = append(words, "id="+e.QueueID)
	}
	if !e.Done {
		words = append(words, "not done")
	}
	r.events = append(r.events, strings.Join(words, " "))
}

// reported returns the events since it was last called.
func (r *rig) reported() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := strings.Join(r.events, "; ")
	r.events = nil
	return s
}

func newRig(t *testing.T, action tlsstate.Action, options inbound.Options) *rig {
	t.Helper()
	return serve(t, action, options, nil)
}

func serve(t *testing.T, action tlsstate.Action, options inbound.Options, judge inbound.Judge) *rig {
	t.Helper()
	r := &rig{histories: store.NewMemory(1000), now: start}
	log := slog.New(slog.NewTextHandler(r, nil))
	policy := tlsstate.DefaultPolicy()
	policy.Stripped, policy.Weakened, policy.Unauthenticated = action, action, action
	rules, err := tlsstate.NewRules(policy, nil)
	if err != nil {
		t.Fatal(err)
	}
	if judge == nil {
		judge = ratchet.New(ratchet.Options{Histories: r.histories, Rules: rules, Log: log})
	}
	r.Milter = milter.New(inbound.Deps{Judge: judge, Now: r.clock, Events: r.take, Log: log}, options, nil)
	server := wire.New(wire.Config{
		Backend: r.Backend, Actions: milter.Actions, Protocol: milter.Protocol, SymList: milter.Symbols(),
		KeepHeader: milter.KeepHeader, Limits: wire.DefaultLimits(), Log: log,
	})
	r.addr = filepath.Join(t.TempDir(), "m.sock")
	ln, err := net.Listen("unix", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		r.histories.Close()
	})
	return r
}

// clear and tls are a session's macros as Postfix sends them.
func clearMacros() map[string]string {
	return map[string]string{
		"{client_addr}": "192.0.2.10", "{client_name}": "mx1.bank.example", "{client_ptr}": "mx1.bank.example",
		"{client_resolve}": "OK", "{daemon_addr}": "198.51.100.1", "{daemon_port}": "25",
	}
}

func tlsMacros(version string) map[string]string {
	m := clearMacros()
	m["{tls_version}"], m["{cipher}"], m["{cipher_bits}"] = version, "ECDHE-RSA-AES256-GCM-SHA384", "256"
	return m
}

func with(m map[string]string, key, value string) map[string]string {
	m[key] = value
	return m
}

// session opens an SMTP session, closed with the test.
func (r *rig) session(t *testing.T, macros map[string]string) *mtatest.Session {
	t.Helper()
	s, err := mtatest.Dial(context.Background(), "unix", r.addr, mtatest.Options{Macros: macros, Hostname: "mx1.bank.example", Addr: "192.0.2.10", Helo: "mx1.bank.example"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mail() mtatest.Message {
	return mtatest.Message{
		From: "alice@bank.example", Rcpts: []string{"bob@example.org"},
		Headers: [][2]string{{"From", "alice@bank.example"}, {"Subject", "hello"}},
		Body:    []byte("hello\r\n"),
		Macros:  map[string]string{"i": "4Q1"},
	}
}

// send plays one message in a session of its own.
func (r *rig) send(t *testing.T, macros map[string]string, m mtatest.Message) mtatest.Result {
	t.Helper()
	res, err := r.session(t, macros).Message(m)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// pin teaches five days of TLS.
func (r *rig) pin(t *testing.T, macros map[string]string) {
	t.Helper()
	for n := 1; n <= 5; n++ {
		r.day(n)
		r.send(t, macros, mail())
	}
	r.reported()
}

// summary is what a message came to: replies, edits, quarantine.
func summary(r *mtatest.Result) string {
	var b strings.Builder
	for i, reply := range r.Replies {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(reply.Event) + ":" + string(reply.Code))
		if code, _, ok := strings.Cut(reply.Text, " "); ok && reply.Code == 'y' {
			b.WriteString("(" + code + ")")
		}
	}
	for _, e := range r.Edits {
		b.WriteString(" " + string(e.Op))
		if e.Index > 0 {
			b.WriteString(strconv.Itoa(int(e.Index)))
		}
	}
	if r.Quarantined {
		b.WriteString(" quarantined")
	}
	return b.String()
}

func TestWayOfOneMessage(t *testing.T) {
	for _, tt := range []struct {
		name   string
		action tlsstate.Action
		macros map[string]string
		change func(*mtatest.Message)
		want   string
		events string
	}{
		{"steady: one round trip", tlsstate.Tempfail, tlsMacros("TLSv1.3"), nil,
			"M:a", "steady none observe from=alice@bank.example"},
		{"observe", tlsstate.Observe, clearMacros(), nil,
			"M:c R:c E:a", "downgrade stripped observe from=alice@bank.example to=bob@example.org id=4Q1"},
		{"header", tlsstate.Header, clearMacros(), nil,
			"M:c R:c E:a insert", "downgrade stripped header from=alice@bank.example to=bob@example.org id=4Q1"},
		{"quarantine", tlsstate.Quarantine, clearMacros(), nil,
			"M:c R:c E:a insert quarantined", "downgrade stripped quarantine from=alice@bank.example to=bob@example.org id=4Q1"},
		{"tempfail", tlsstate.Tempfail, clearMacros(), nil,
			"M:c R:y(451)", "downgrade stripped tempfail from=alice@bank.example to=bob@example.org"},
		{"reject", tlsstate.Reject, clearMacros(), nil,
			"M:c R:y(550)", "downgrade stripped reject from=alice@bank.example to=bob@example.org"},
		{"weakened", tlsstate.Reject, tlsMacros("TLSv1"), nil,
			"M:c R:y(550)", "downgrade weakened reject from=alice@bank.example to=bob@example.org"},
		{"postmaster beside another recipient", tlsstate.Tempfail, clearMacros(),
			func(m *mtatest.Message) { m.Rcpts = []string{"Postmaster@example.org", "bob@example.org"} },
			"M:c R:c R:y(451) E:a insert", "downgrade stripped tempfail from=alice@bank.example to=bob@example.org"},
		{"two recipients, one line", tlsstate.Reject, clearMacros(),
			func(m *mtatest.Message) { m.Rcpts = []string{"bob@example.org", "carol@example.org"} },
			"M:c R:y(550) R:y(550)", "downgrade stripped reject from=alice@bank.example to=bob@example.org"},
		{"only postmaster", tlsstate.Reject, clearMacros(),
			func(m *mtatest.Message) { m.Rcpts = []string{"postmaster"} },
			"M:c R:c E:a insert", "downgrade stripped header (reject) from=alice@bank.example to=postmaster id=4Q1"},
		{"the null sender is refused at the end of the message", tlsstate.Tempfail, clearMacros(),
			func(m *mtatest.Message) { m.From = "" },
			"M:c R:c E:y(451)", "downgrade stripped tempfail from= to=bob@example.org id=4Q1"},
		{"the null sender to postmaster", tlsstate.Reject, clearMacros(),
			func(m *mtatest.Message) { m.From, m.Rcpts = "", []string{"postmaster@example.org"} },
			"M:c R:c E:a insert", "downgrade stripped header (reject) from= to=postmaster@example.org id=4Q1"},
		{"the null sender to postmaster and another recipient", tlsstate.Reject, clearMacros(),
			func(m *mtatest.Message) { m.From, m.Rcpts = "", []string{"postmaster@example.org", "bob@example.org"} },
			"M:c R:c R:y(452) E:a insert", "downgrade stripped header (reject) from= to=postmaster@example.org id=4Q1"},
		{"the null sender to another recipient and postmaster", tlsstate.Reject, clearMacros(),
			func(m *mtatest.Message) { m.From, m.Rcpts = "", []string{"bob@example.org", "postmaster@example.org"} },
			"M:c R:c R:y(452) E:y(550)", "downgrade stripped reject from= to=bob@example.org id=4Q1"},
		{"forged headers are deleted after ours is in, the last first", tlsstate.Header, clearMacros(),
			func(m *mtatest.Message) {
				m.Headers = append(m.Headers, [2]string{"X-TLS-Ratchet", "steady"}, [2]string{"x-tls-ratchet", "steady"})
			},
			"M:c R:c E:a insert delete3 delete2", "downgrade stripped header from=alice@bank.example to=bob@example.org id=4Q1"},
		{"authenticated", tlsstate.Reject, with(clearMacros(), "{auth_type}", "PLAIN"), nil,
			"M:a", "exempt none observe from=alice@bank.example"},
		{"unconfirmed name: the address speaks all the same", tlsstate.Reject, with(clearMacros(), "{client_resolve}", "TEMP"), nil,
			"M:c R:y(550)", "downgrade stripped reject from=alice@bank.example to=bob@example.org"},
		{"a port without STARTTLS, while another offers it", tlsstate.Reject, with(clearMacros(), "{daemon_port}", "10025"), nil,
			"M:c R:c E:a insert", "downgrade stripped header from=alice@bank.example to=bob@example.org id=4Q1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.action, inbound.Options{ExemptRecipients: []string{"postmaster", "abuse"}})
			r.pin(t, tlsMacros("TLSv1.3"))
			m := mail()
			if tt.change != nil {
				tt.change(&m)
			}
			res := r.send(t, tt.macros, m)
			if got := summary(&res); got != tt.want {
				t.Errorf("replies: got %s, want %s", got, tt.want)
			}
			if got := r.reported(); got != tt.events {
				t.Errorf("events: got %s, want %s", got, tt.events)
			}
		})
	}
}

// A new or changed history needs one more round trip, and a message that no
// recipient was accepted for teaches nothing.
func TestLearnsAtTheFirstRecipient(t *testing.T) {
	r := newRig(t, tlsstate.Header, inbound.Options{})
	none := mail()
	none.Rcpts = nil
	r.send(t, tlsMacros("TLSv1.3"), none)
	if n := r.histories.Len(); n != 0 {
		t.Errorf("%d identities learned without a recipient", n)
	}
	res := r.send(t, tlsMacros("TLSv1.3"), mail())
	if got := summary(&res); got != "M:c R:a" {
		t.Errorf("new: %s", got)
	}
	if n := r.histories.Len(); n != 5 {
		t.Errorf("%d identities, want address, domain, network, and the listener twice", n)
	}
}

// Each message of a session is judged by itself, whatever became of the ones
// before it.
func TestSeveralMessagesInASession(t *testing.T) {
	r := newRig(t, tlsstate.Tempfail, inbound.Options{ExemptRecipients: []string{"postmaster"}})
	r.pin(t, tlsMacros("TLSv1.2"))
	s := r.session(t, clearMacros())
	for i, want := range []string{"M:c R:y(451)", "M:c R:c E:a insert", "M:c R:y(451)", "M:c R:y(451)"} {
		m := mail()
		if i == 1 {
			m.Rcpts = []string{"postmaster@example.org"}
		}
		if i == 3 {
			if _, err := s.Ehlo("again.example"); err != nil {
				t.Fatal(err)
			}
		}
		res, err := s.Message(m)
		if err != nil {
			t.Fatal(err)
		}
		if got := summary(&res); got != want {
			t.Errorf("message %d: got %s, want %s", i+1, got, want)
		}
	}
	steady := r.session(t, tlsMacros("TLSv1.2"))
	for i := range 3 {
		res, err := steady.Message(mail())
		if err != nil {
			t.Fatal(err)
		}
		if got := summary(&res); got != "M:a" {
			t.Errorf("steady message %d: %s", i+1, got)
		}
	}
}

func TestTexts(t *testing.T) {
	r := newRig(t, tlsstate.Reject, inbound.Options{Contact: "https://example.org/tls?a=100%"})
	r.pin(t, tlsMacros("TLSv1.3"))
	res := r.send(t, clearMacros(), mail())
	want := "550 5.7.1 192.0.2.10: TLS required: you used it on 5 of the last 64 days, last on 2026-09-05; this session is not encrypted; see https://example.org/tls?a=100%"
	if got := res.Reply('R').Text; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r = newRig(t, tlsstate.Header, inbound.Options{})
	r.pin(t, tlsMacros("TLSv1.3"))
	res = r.send(t, clearMacros(), mail())
	value := "downgrade; kind=stripped; identity=address:192.0.2.10;\n\tpin=TLSv1.2; seen=none; since=2026-09-05; days=5/64"
	if e := res.Edits[0]; e.Name != "X-TLS-Ratchet" || e.Value != value || e.Index != 0 {
		t.Errorf("got %+v\nwant %q", e, value)
	}
}

func TestHeaderAll(t *testing.T) {
	r := newRig(t, tlsstate.Header, inbound.Options{HeaderAll: true})
	for i, want := range []string{"new; identity=address:192.0.2.10; seen=TLSv1.3", "learning; identity=address:192.0.2.10; seen=TLSv1.3"} {
		res := r.send(t, tlsMacros("TLSv1.3"), mail())
		if got := summary(&res); got != "M:c R:c E:a insert" {
			t.Errorf("message %d: %s", i, got)
		}
		if got := res.Edits[0].Value; got != want {
			t.Errorf("message %d: %q, want %q", i, got, want)
		}
	}
	r.pin(t, tlsMacros("TLSv1.3"))
	res := r.send(t, tlsMacros("TLSv1.3"), mail())
	if got, want := res.Edits[0].Value, "steady; identity=address:192.0.2.10; pin=TLSv1.2; seen=TLSv1.3;\n\tsince=2026-09-05; days=5/64"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Options change for the next message, not for the one under way.
func TestSetOptions(t *testing.T) {
	r := newRig(t, tlsstate.Header, inbound.Options{})
	r.pin(t, tlsMacros("TLSv1.3"))
	s := r.session(t, tlsMacros("TLSv1.3"))
	if res, _ := s.Message(mail()); summary(&res) != "M:a" {
		t.Fatal(summary(&res))
	}
	r.SetOptions(inbound.Options{HeaderAll: true})
	if res, _ := s.Message(mail()); summary(&res) != "M:c R:c E:a insert" {
		t.Fatal(summary(&res))
	}
}

// envelope sends MAIL and RCPT, and wants both continued.
func (r *rig) envelope(t *testing.T, s *mtatest.Session, m map[string]string, from string) {
	t.Helper()
	macros := []byte{'M'}
	for k, v := range m {
		macros = append(macros, k+"\x00"+v+"\x00"...)
	}
	if err := s.Send('D', macros); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range []struct {
		c    byte
		data string
	}{{'M', "<" + from + ">\x00"}, {'R', "<bob@example.org>\x00"}} {
		if err := s.Send(cmd.c, []byte(cmd.data)); err != nil {
			t.Fatal(err)
		}
		if code, _, err := s.Recv(); err != nil || code != 'c' {
			t.Fatalf("%c: %c, %v", cmd.c, code, err)
		}
	}
}

// TestGivenUpBeforeARecipient: where no recipient was accepted, nothing was to
// be done, and nothing is reported.
func TestGivenUpBeforeARecipient(t *testing.T) {
	r := newRig(t, tlsstate.Quarantine, inbound.Options{})
	r.pin(t, tlsMacros("TLSv1.3"))
	s := r.session(t, clearMacros())
	none, next := mail(), mail()
	none.Rcpts, next.From = nil, "carol@bank.example"
	if _, err := s.Message(none); err != nil {
		t.Fatal(err)
	}
	s.Abort()
	if _, err := s.Message(next); err != nil {
		t.Fatal(err)
	}
	if got := r.reported(); got != "downgrade stripped quarantine from=carol@bank.example to=bob@example.org id=4Q1" {
		t.Errorf("got %s", got)
	}
}

// TestGivenUpUnderHeaderAll: what is no downgrade has no action that could be
// left undone: the sender's abort is not reported, only the message after it.
func TestGivenUpUnderHeaderAll(t *testing.T) {
	r := newRig(t, tlsstate.Header, inbound.Options{HeaderAll: true})
	r.pin(t, tlsMacros("TLSv1.3"))
	r.reported()
	s := r.session(t, tlsMacros("TLSv1.3"))
	r.envelope(t, s, tlsMacros("TLSv1.3"), "alice@bank.example")
	s.Abort()
	next := mail()
	next.From = "carol@bank.example"
	if _, err := s.Message(next); err != nil {
		t.Fatal(err)
	}
	if got := r.reported(); strings.Contains(got, "alice") || !strings.Contains(got, "carol") {
		t.Errorf("got %s", got)
	}
}

// An action that was pending and never came to its stage is reported.
func TestActionNeverDone(t *testing.T) {
	r := newRig(t, tlsstate.Quarantine, inbound.Options{})
	r.pin(t, tlsMacros("TLSv1.3"))
	s := r.session(t, clearMacros())
	r.envelope(t, s, clearMacros(), "alice@bank.example")
	s.Abort()
	if res, err := s.Message(mail()); err != nil || !res.Quarantined {
		t.Fatalf("the next message: %s, %v", summary(&res), err)
	}
	want := "downgrade stripped quarantine from=alice@bank.example to=bob@example.org not done; downgrade stripped quarantine from=alice@bank.example to=bob@example.org id=4Q1"
	if got := r.reported(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestUnknownClient: one client without an address is no error where others
// have one.
func TestUnknownClient(t *testing.T) {
	r := newRig(t, tlsstate.Reject, inbound.Options{})
	for range 2 {
		r.send(t, with(clearMacros(), "{client_addr}", "unknown"), mail())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.log.String(); strings.Contains(s, "level=ERROR") || strings.Count(s, "client address unknown") != 1 || r.NoFacts() != 2 {
		t.Errorf("counted %d:\n%s", r.NoFacts(), s)
	}
}

// TestNullSenderTeachesAtItsEnd: a callout ends after RCPT and teaches nothing.
func TestNullSenderTeachesAtItsEnd(t *testing.T) {
	r := newRig(t, tlsstate.Header, inbound.Options{})
	s := r.session(t, tlsMacros("TLSv1.3"))
	r.envelope(t, s, tlsMacros("TLSv1.3"), "")
	s.Abort()
	if n := r.histories.Len(); n != 0 {
		t.Errorf("%d identities after a callout", n)
	}
	bounce := mail()
	bounce.From = ""
	if res, err := s.Message(bounce); err != nil || summary(&res) != "M:c R:c E:a" {
		t.Errorf("%s, %v", summary(&res), err)
	}
	if n := r.histories.Len(); n != 5 {
		t.Errorf("%d identities after a bounce", n)
	}
}

// An MTA that sends none of the macros asked for gets "accept" always, and one
// loud line.
func TestCanary(t *testing.T) {
	r := newRig(t, tlsstate.Reject, inbound.Options{})
	s, err := mtatest.Dial(context.Background(), "unix", r.addr, mtatest.Options{
		IgnoreSymList: true, Macros: clearMacros(), Hostname: "mx1.bank.example", Addr: "192.0.2.10",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 3 {
		res, err := s.Message(mail())
		if err != nil || summary(&res) != "M:a" {
			t.Errorf("%s, %v", summary(&res), err)
		}
	}
	res := r.send(t, with(clearMacros(), "{client_addr}", "unknown"), mail())
	if summary(&res) != "M:a" {
		t.Errorf("client_addr unknown: %s", summary(&res))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := strings.Count(r.log.String(), "does not send the macros"); n != 1 || r.NoFacts() != 4 {
		t.Errorf("logged %d times, counted %d:\n%s", n, r.NoFacts(), r.log.String())
	}
	if r.histories.Len() != 0 {
		t.Error("something was learned")
	}
}

// faulty is a judge that panics.
type faulty struct{}

func (faulty) Decide(*ratchet.Session) ratchet.Decision  { panic("decide") }
func (faulty) Learn(*ratchet.Session, *ratchet.Decision) { panic("learn") }

func TestPanicAccepts(t *testing.T) {
	r := serve(t, tlsstate.Reject, inbound.Options{}, faulty{})
	s := r.session(t, clearMacros())
	for range 2 {
		res, err := s.Message(mail())
		if err != nil || summary(&res) != "M:a" {
			t.Errorf("%s, %v", summary(&res), err)
		}
	}
	if r.Failures() != 2 {
		t.Errorf("%d troubles", r.Failures())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := strings.Count(r.log.String(), "stack="); n != 1 || !strings.Contains(r.log.String(), "level=ERROR") {
		t.Errorf("%d stacks, want one at error level:\n%s", n, r.log.String())
	}
}

// Nothing that a peer chooses leaves us with other than clean characters, nor
// as a line of its own.
func TestHostileTexts(t *testing.T) {
	hostile := "TLSv9\r\nX-Evil: yes\x00\x1b[31m\u00fc;\"\\" + strings.Repeat("x", 2000)
	for _, action := range []tlsstate.Action{tlsstate.Header, tlsstate.Quarantine, tlsstate.Reject} {
		r := newRig(t, action, inbound.Options{HeaderAll: true})
		r.pin(t, tlsMacros("TLSv1.3"))
		m := clearMacros()
		m["{client_name}"], m["{tls_version}"] = hostile[:255], strings.ReplaceAll(hostile, "\x00", "")
		m["{cipher}"], m["{cert_subject}"] = "a\r\nb", "c\x1bd"
		for _, macros := range []map[string]string{m, with(clearMacros(), "{client_name}", strings.ReplaceAll(hostile, "\x00", ""))} {
			message := mail()
			message.From = "a\r\nX-Evil: yes@\u00fc"
			res := r.send(t, macros, message)
			texts := []string{res.Quarantine, res.Reply('R').Text}
			for _, e := range res.Edits {
				if len(e.Value) > 900 {
					t.Errorf("a header of %d bytes", len(e.Value))
				}
				texts = append(texts, strings.ReplaceAll(e.Value, "\n\t", " "))
			}
			for _, text := range texts {
				for i := range len(text) {
					if text[i] < ' ' || text[i] > '~' {
						t.Fatalf("byte %#02x in %q", text[i], text)
					}
				}
			}
		}
	}
}
