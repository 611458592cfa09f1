package policyservice

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tlsratchet/internal/inbound"
	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/milter/wire"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a service on a real socket with the real ratchet behind it.
type rig struct {
	t         *testing.T
	server    *Server
	histories *store.Memory
	addr      string
	seen      *Connections

	mu     sync.Mutex
	now    time.Time
	events []string
	log    bytes.Buffer
}

func (r *rig) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *rig) onEvent(e ratchet.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := fmt.Sprintf("%s %s to=%s", e.Decision.Outcome, e.AppliedAction(), e.Recipient)
	if e.QueueID != "" {
		text += " id=" + e.QueueID
	}
	if e.Decision.Pinned() {
		text += " pinned"
	}
	if !e.Done {
		text += " not done"
	}
	r.events = append(r.events, text)
}

func (r *rig) emitted() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := strings.Join(r.events, "; ")
	r.events = nil
	return text
}

func newRig(t *testing.T, action tlsstate.Action, options inbound.Options, judge inbound.Judge, change ...func(*wire.DeskLimits)) *rig {
	t.Helper()
	r := &rig{t: t, seen: NewConnections(), histories: store.NewMemory(1000), now: time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)}
	log := slog.New(slog.NewTextHandler(r, nil))
	policy := tlsstate.DefaultPolicy()
	policy.PinAfterDays, policy.Stripped = 1, action
	rules, err := tlsstate.NewRules(policy, nil)
	if err != nil {
		t.Fatal(err)
	}
	if judge == nil {
		judge = ratchet.New(ratchet.Options{Histories: r.histories, Rules: rules, Log: log})
	}
	options.ExemptRecipients = inbound.Recipients{"postmaster"}
	limits := DefaultLimits()
	for _, c := range change {
		c(&limits)
	}
	r.server = New(inbound.Deps{
		Judge: judge, Now: func() time.Time { return r.now }, Events: r.onEvent, Log: log,
	}, options, r.seen.Has, limits)
	r.addr = filepath.Join(t.TempDir(), "p.sock")
	ln, err := net.Listen("unix", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- r.server.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := r.server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		r.histories.Close()
	})
	return r
}

// client is one smtpd process.
type client struct {
	t  *testing.T
	c  net.Conn
	in *bufio.Reader
}

func (r *rig) dial() *client {
	r.t.Helper()
	c, err := net.Dial("unix", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return &client{r.t, c, bufio.NewReader(c)}
}

// ask asks and returns the answer.
func (c *client) ask(attributes ...string) string {
	c.t.Helper()
	all := append([]string{
		"request=smtpd_access_policy", "protocol_state=RCPT", "client_address=192.0.2.10", "client_name=mx1.bank.example", "client_port=4711",
		"server_address=198.51.100.1", "server_port=25", "sender=alice@bank.example", "recipient=bob@ours.example",
	}, attributes...)
	if _, err := c.c.Write([]byte(strings.Join(all, "\n") + "\n\n")); err != nil {
		c.t.Fatal(err)
	}
	answer, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	if empty, err := c.in.ReadString('\n'); err != nil || empty != "\n" {
		c.t.Fatalf("after %q: %q, %v", answer, empty, err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(answer, "action="), "\n")
}

const overTLS = "encryption_protocol=TLSv1.3"

// TestAnswers: what one message gets, recipient by recipient.
func TestAnswers(t *testing.T) {
	const null, end, postmaster, carol = "sender=", "protocol_state=END-OF-MESSAGE", "recipient=postmaster@ours.example", "recipient=carol@ours.example"
	for _, tt := range []struct {
		name    string
		action  tlsstate.Action
		ask     [][]string
		want    []string
		emitted string
	}{
		{"steady", tlsstate.Reject, [][]string{{overTLS}, {overTLS, carol}}, []string{"DUNNO", "DUNNO"}, "steady observe to=bob@ours.example"},
		{"observe", tlsstate.Observe, [][]string{{}}, []string{"DUNNO"}, "downgrade observe to=bob@ours.example"},
		{"header, once a message", tlsstate.Header, [][]string{{}, {carol}}, []string{"PREPEND X-TLS-Ratchet: downgrade; kind=stripped; identity=address:192.0.2.10; pin=", "DUNNO"}, "downgrade header to=bob@ours.example"},
		{"quarantine, and the header with a second recipient", tlsstate.Quarantine, [][]string{{}, {carol}}, []string{"HOLD stripped: 192.0.2.10", "PREPEND X-TLS-Ratchet: "}, "downgrade quarantine to=bob@ours.example"},
		{"tempfail", tlsstate.Tempfail, [][]string{{}, {carol}}, []string{"451 4.7.1 192.0.2.10: TLS required", "451 4.7.1 "}, "downgrade tempfail to=bob@ours.example"},
		{"reject", tlsstate.Reject, [][]string{{}}, []string{"550 5.7.1 192.0.2.10: TLS required"}, "downgrade reject to=bob@ours.example"},
		{"postmaster beside another recipient", tlsstate.Reject, [][]string{{postmaster}, {}}, []string{"PREPEND ", "550 5.7.1 "}, "downgrade reject to=bob@ours.example"},
		{"only postmaster", tlsstate.Reject, [][]string{{postmaster}, {postmaster, end}}, []string{"PREPEND ", "DUNNO"}, "downgrade header to=postmaster@ours.example"},
		{"the null sender is refused at its end", tlsstate.Tempfail, [][]string{{null}, {null, end}}, []string{"PREPEND ", "451 4.7.1 "}, "downgrade tempfail to=bob@ours.example"},
		{"the null sender to postmaster", tlsstate.Tempfail, [][]string{{null, postmaster}, {null, end}}, []string{"PREPEND ", "DUNNO"}, "downgrade header to=postmaster@ours.example"},
		{"the null sender to both", tlsstate.Tempfail, [][]string{{null}, {null, postmaster}}, []string{"PREPEND ", "452 4.5.3 "}, ""},
		{"quarantine at the end", tlsstate.Quarantine, [][]string{{}, {carol}, {end, "queue_id=4Q1"}}, []string{"PREPEND ", "DUNNO", "HOLD stripped: 192.0.2.10"}, "downgrade quarantine to=bob@ours.example id=4Q1"},
		{"given up before its end", tlsstate.Header, [][]string{{}, {overTLS, "instance=2"}}, []string{"PREPEND ", "DUNNO"}, "downgrade header to=bob@ours.example not done; steady observe to=bob@ours.example"},
		{"authenticated", tlsstate.Reject, [][]string{{"sasl_method=PLAIN"}}, []string{"DUNNO"}, "exempt observe to=bob@ours.example"},
		{"no address", tlsstate.Reject, [][]string{{"client_address=unknown"}}, []string{"DUNNO"}, ""},
		{"another state", tlsstate.Reject, [][]string{{"protocol_state=DATA"}}, []string{"DUNNO"}, ""},
		{"an end that is the first of a message", tlsstate.Reject, [][]string{{end}}, []string{"DUNNO"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.action, inbound.Options{}, nil)
			c := r.dial()
			c.ask(overTLS, "instance=0")
			if strings.Contains(tt.name, "end") {
				c.ask(overTLS, "instance=0", end)
			}
			r.emitted()
			for i, attributes := range tt.ask {
				if got := c.ask(append([]string{"instance=1"}, attributes...)...); !strings.HasPrefix(got, tt.want[i]) || tt.want[i] == "DUNNO" && got != "DUNNO" || strings.Contains(got, "forged") {
					t.Errorf("answer %d: got %s, want %s", i+1, got, tt.want[i])
				}
			}
			if got := r.emitted(); got != tt.emitted {
				t.Errorf("emitted %q, want %q", got, tt.emitted)
			}
		})
	}
}

// TestWithoutQuotes: Postfix states addresses without their quotes, which hide nothing:
// neither a sender from its row, nor who is no exempt recipient.
func TestWithoutQuotes(t *testing.T) {
	reject := tlsstate.Reject
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), []tlsstate.Row{{Sender: "partner.example", Least: tlsstate.TLS12, Action: &reject}})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, reject, inbound.Options{}, ratchet.New(ratchet.Options{Histories: store.NewMemory(100), Rules: rules}))
	c, instance := r.dial(), 0
	for _, tt := range []struct {
		sender, recipient string
		refused           bool
	}{
		{"a@partner.example", "bob@ours.example", true},
		{"a(b@partner.example", "bob@ours.example", true},
		{"a(b%partner.example", "bob@ours.example", true},
		{"a<b@other.example>@partner.example", "bob@ours.example", true},
		{"a<b@partner.example>@other.example", "bob@ours.example", false},
		{`a"\(b@partner.example`, "bob@ours.example", true},
		{`a\@partner.example`, "bob@ours.example", true},
		{"@partner.example", "bob@ours.example", true},
		{"a b@partner.example.", "bob@ours.example", true},
		{"", "bob@ours.example", false},
		{"a@partner.example", "postmaster@ours.example", false},
		{"a@partner.example", "@x:postmaster@ours.example", true},
		{"a@partner.example", "<postmaster@ours.example", true},
	} {
		instance++
		got := c.ask("sender="+tt.sender, "recipient="+tt.recipient, fmt.Sprintf("instance=%d", instance))
		if strings.HasPrefix(got, "550 ") != tt.refused {
			t.Errorf("from %s to %s: %s", tt.sender, tt.recipient, got)
		}
	}
}

// TestGivenUp: a message is emitted, as not done, where its client's smtpd(8) leaves
// before its end.
func TestGivenUp(t *testing.T) {
	r := newRig(t, tlsstate.Header, inbound.Options{}, nil)
	c := r.dial()
	c.ask(overTLS, "instance=0")
	c.ask(overTLS, "instance=0", "protocol_state=END-OF-MESSAGE")
	c.ask("instance=1")
	r.emitted()
	c.c.Close()
	for end := time.Now().Add(time.Minute); r.server.Stats().Open > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if got, want := r.emitted(), "downgrade header to=bob@ours.example not done"; got != want {
		t.Errorf("emitted %q, want %q", got, want)
	}
}

// TestWarnings: what Postfix does not state, and where it should not ask, is logged
// once, cut, and not as an error.
func TestWarnings(t *testing.T) {
	r := newRig(t, tlsstate.Reject, inbound.Options{}, nil)
	c := r.dial()
	for _, text := range []string{"protocol_state=VRFY", "protocol_state=" + strings.Repeat("D", 99), "client_address=" + strings.Repeat("a", 999)} {
		for range 3 {
			c.ask(text)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	log := r.log.String()
	if n := strings.Count(log, "level=WARN"); n != 2 || strings.Count(log, "\n") != 2 || !strings.Contains(log, "state="+strings.Repeat("D", 40)) || strings.Contains(log, strings.Repeat("D", 41)) || strings.Contains(log, "{client_addr}") {
		t.Errorf("logged %s", log)
	}
	if n := r.server.Stats().NoFacts; n != 3 {
		t.Errorf("%d without facts", n)
	}
}

// TestLearns: at the first recipient, and for the null sender at the end of the
// message, so that callouts teach nothing. What is emitted of them states the same.
func TestLearns(t *testing.T) {
	r := newRig(t, tlsstate.Header, inbound.Options{}, nil)
	c := r.dial()
	for i, tt := range []struct{ callout, bounce string }{
		{"new observe to=bob@ours.example", ""}, // that ends are asked for is not known yet
		{"", "new observe to=bob@ours.example pinned"},
	} {
		before, from := r.histories.Len(), []string{overTLS, "sender=", fmt.Sprint("client_address=192.0.2.", i), fmt.Sprintf("client_name=mx.peer%d.example", i), fmt.Sprint("instance=", i)}
		c.ask(from...)
		if n := r.histories.Len(); n != before {
			t.Errorf("a callout taught %d identities", n-before)
		}
		if got := r.emitted(); got != tt.callout {
			t.Errorf("of a callout is emitted %q, want %q", got, tt.callout)
		}
		c.ask(append(from, "protocol_state=END-OF-MESSAGE")...)
		if n := r.histories.Len(); n == before {
			t.Error("a bounce taught nothing")
		}
		if got := r.emitted(); got != tt.bounce {
			t.Errorf("of a bounce is emitted %q, want %q", got, tt.bounce)
		}
	}
}

// TestBothDoors: the messages of a connection that the milter sees are its own.
func TestBothDoors(t *testing.T) {
	r := newRig(t, tlsstate.Reject, inbound.Options{HeaderAll: true}, nil)
	c := r.dial()
	milters := inbound.Client{Facts: ratchet.Facts{Client: peer.Client{Addr: "192.0.2.10", DaemonAddr: "198.51.100.1", DaemonPort: "25"}}}
	if err := milters.State(milters.Facts); err != nil {
		t.Fatal(err)
	}
	r.seen.See(&milters, "") // before Postfix 3.0
	if got := c.ask(overTLS, "instance=0", "client_port="); got == "DUNNO" {
		t.Error("a client without a port is taken for the milter's")
	}
	r.seen.See(&milters, "4711")
	r.emitted()
	known := r.histories.Len()
	if got := c.ask(overTLS, "instance=1"); got != "DUNNO" || r.emitted() != "" || r.histories.Len() != known {
		t.Errorf("%s, %d identities", got, r.histories.Len())
	}
	for i, other := range []string{"client_port=4712", "server_port=587", "server_address=198.51.100.2"} {
		if got := c.ask(overTLS, fmt.Sprint("instance=", i+2), other); !strings.HasPrefix(got, "PREPEND X-TLS-Ratchet: ") {
			t.Errorf("%s: %s", other, got)
		}
	}
}

// TestHostileValues: nothing that a peer chooses leaves as a line or a header of
// its own.
func TestHostileValues(t *testing.T) {
	r := newRig(t, tlsstate.Reject, inbound.Options{HeaderAll: true}, nil)
	c := r.dial()
	for _, text := range []string{"a\rX-Evil: yes", "\x1b[31m\x00", "b\u00fccher", strings.Repeat("x", 2000), "; kind=none"} {
		for _, name := range []string{"sender", "recipient", "client_name", "encryption_protocol", "encryption_cipher", "ccert_subject", "instance", "server_port"} {
			answer := c.ask("instance="+name+text, name+"="+text)
			for i := range len(answer) {
				if answer[i] < ' ' || answer[i] > '~' {
					t.Fatalf("byte %#02x in %q", answer[i], answer)
				}
			}
			if len(answer) > 1300 {
				t.Errorf("%d bytes", len(answer))
			}
		}
	}
}

// faulty panics.
type faulty struct{}

func (faulty) Decide(*ratchet.Session) ratchet.Decision  { panic("decide") }
func (faulty) Learn(*ratchet.Session, *ratchet.Decision) { panic("learn") }

func TestPanicIsNoOpinion(t *testing.T) {
	r := newRig(t, tlsstate.Reject, inbound.Options{}, faulty{})
	c := r.dial()
	for range 2 {
		if got := c.ask("instance=1"); got != "DUNNO" {
			t.Error(got)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if strings.Count(r.log.String(), "stack=") != 1 {
		t.Error(r.log.String())
	}
}

// TestGarbage: what is no request ends its connection alone, and the next is
// served.
func TestGarbage(t *testing.T) {
	r := newRig(t, tlsstate.Reject, inbound.Options{}, nil)
	for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", strings.Repeat("x", 1<<16), "request=smt"} {
		c := r.dial()
		c.c.Write([]byte(text))
		c.c.(*net.UnixConn).CloseWrite()
		if got, _ := c.in.ReadString('\n'); got != "" {
			t.Errorf("%.10q: %q", text, got)
		}
	}
	if got := r.dial().ask(overTLS); got != "DUNNO" {
		t.Error(got)
	}
	if n := r.server.Stats().Refused; n != 2 {
		t.Errorf("%d refused", n)
	}
}

// TestEndsNoMore: where Postfix no longer asks at the end of messages, the hold is
// asked for at the recipient again, and at the end once it asks there.
func TestEndsNoMore(t *testing.T) {
	r := newRig(t, tlsstate.Quarantine, inbound.Options{}, nil)
	c := r.dial()
	c.ask(overTLS, "instance=0")
	for _, want := range []string{"PREPEND ", "HOLD ", "PREPEND "} {
		if want == "PREPEND " {
			c.ask("instance=0", "protocol_state=END-OF-MESSAGE")
		}
		for i := 2; i < manyBegan && want == "HOLD "; i++ {
			if got := c.ask(fmt.Sprintf("instance=%d", i)); !strings.HasPrefix(got, "PREPEND ") {
				t.Fatalf("message %d since an end: %s", i, got)
			}
		}
		if got := c.ask("instance=a" + want); !strings.HasPrefix(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestManyListeners: no client makes up more of Postfix's listeners than are kept.
func TestManyListeners(t *testing.T) {
	r := newRig(t, tlsstate.Quarantine, inbound.Options{}, nil)
	c := r.dial()
	for i := range 2 * maxListeners {
		c.ask("protocol_state=END-OF-MESSAGE", fmt.Sprintf("server_port=%d", i))
	}
	if n := r.server.ends.Len(); n != maxListeners {
		t.Errorf("%d listeners are kept", n)
	}
}
