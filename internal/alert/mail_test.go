package alert

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tlsratchet/internal/incident"
)

// mailServer is a small SMTP server on loopback. answers replace its own, by
// the command that they answer; "" closes the connection.
type mailServer struct {
	addr    string
	answers map[string]string
	tls     *tls.Config // nil: no STARTTLS

	mu       sync.Mutex
	dialogue []string
	messages []string
}

func newMailServer(t *testing.T, answers map[string]string) *mailServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &mailServer{addr: l.Addr().String(), answers: answers}
	var all sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { s.serve(conn) })
		}
	})
	return s
}

func (s *mailServer) serve(conn net.Conn) {
	defer conn.Close()
	r := textproto.NewReader(bufio.NewReader(conn))
	if !s.answer(conn, "CONNECT", "220 mx.test ESMTP") {
		return
	}
	for {
		line, err := r.ReadLine()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.dialogue = append(s.dialogue, line)
		s.mu.Unlock()
		verb, _, _ := strings.Cut(line, " ")
		switch verb {
		case "EHLO":
			if !s.answer(conn, verb, "250-mx.test\r\n250-SMTPUTF8\r\n250 8BITMIME") {
				return
			}
		case "STARTTLS":
			if !s.answer(conn, verb, "220 go on") {
				return
			}
			conn = tls.Server(conn, s.tls)
			r = textproto.NewReader(bufio.NewReader(conn))
		case "DATA":
			if !s.answer(conn, verb, "354 go on") {
				return
			}
			b, err := r.ReadDotBytes()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.messages = append(s.messages, string(b))
			s.mu.Unlock()
			if !s.answer(conn, "END", "250 2.0.0 Ok: queued as 4XyZ99") {
				return
			}
		case "QUIT":
			s.answer(conn, verb, "221 bye")
			return
		default:
			if !s.answer(conn, line, "250 ok") {
				return
			}
		}
	}
}

func (s *mailServer) answer(conn net.Conn, to, usual string) bool {
	s.mu.Lock()
	text, ok := s.answers[to]
	s.mu.Unlock()
	if !ok {
		text = usual
	}
	if text == "" {
		return false
	}
	_, err := io.WriteString(conn, text+"\r\n")
	return err == nil
}

func (s *mailServer) got() (dialogue string, messages []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.dialogue, "\n"), s.messages
}

func mailTo(t *testing.T, server string) *Destination {
	t.Helper()
	d, err := newDestination(Settings{Kind: KindMail, Least: "info", Server: server, To: []string{"ann@here.example"}}, noVariables, discard)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestMail(t *testing.T) {
	s := newMailServer(t, nil)
	begun := time.Now().Truncate(time.Second)
	answer, err := deliver(t, mailTo(t, s.addr))
	if err != nil || answer != "250 2.0.0 Ok: queued as 4XyZ99" {
		t.Errorf("got %q, %v", answer, err)
	}
	dialogue, messages := s.got()
	want := "EHLO mail.here.example\nMAIL FROM:<>\nRCPT TO:<ann@here.example>\nDATA\nQUIT"
	if dialogue != want {
		t.Errorf("the conversation:\n%s", dialogue)
	}
	m, err := mail.ReadMessage(strings.NewReader(messages[0]))
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{
		"From":           "tlsratchet <tlsratchet@mail.here.example>",
		"To":             "ann@here.example",
		"Subject":        "[critical] mx1.bank.example (192.0.2.10) came without TLS",
		"Auto-Submitted": "auto-generated",
		"References":     "<incident-17.tlsratchet@mail.here.example>",
		"Content-Type":   "text/plain; charset=us-ascii",
	} {
		if got := m.Header.Get(field); got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
	if date, err := m.Header.Date(); err != nil || date.Before(begun) || date.After(time.Now()) {
		t.Errorf("Date: %s, %v", date, err)
	}
	if id := m.Header.Get("Message-ID"); !strings.HasSuffix(id, "@mail.here.example>") {
		t.Errorf("Message-ID: %s", id)
	}
	text, err := io.ReadAll(m.Body)
	if err != nil || !bytes.Contains(text, []byte("    postsuper -H 4XyZ12\n")) || !bytes.Contains(text, []byte("on 41 of the last 64")) {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestMailAnswers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers map[string]string
		want    string
		tried   bool
	}{
		{"refused at the door", map[string]string{"CONNECT": "554 go away\x1b[31m"}, `554 "go away?[31m"`, false},
		{"refused", map[string]string{"RCPT TO:<ann@here.example>": "550 no ann"}, `550 "no ann"`, false},
		{"greylisted", map[string]string{"RCPT TO:<ann@here.example>": "451 who is ann"}, `451 "who is ann"`, true},
		{"the message refused", map[string]string{"END": "554 spam"}, `554 "spam"`, false},
		{"no data", map[string]string{"DATA": "503 no"}, `503 "no"`, false},
		{"busy", map[string]string{"MAIL FROM:<>": "451 later"}, `451 "later"`, true},
		{"closed", map[string]string{"EHLO": ""}, "EOF", true},
	} {
		limit := time.Minute
		if tt.tried { // until there is no time left
			limit = time.Second
		}
		s := newMailServer(t, tt.answers)
		answer, err := deliverWithin(t, mailTo(t, s.addr), limit)
		if _, later := tryLater(err); err == nil || !strings.Contains(err.Error(), tt.want) || later != tt.tried || answer != "" && tt.name != "the message refused" {
			t.Errorf("%s: got %q, %v", tt.name, answer, err)
		}
	}
}

// TestMailToMany: each recipient is a destination: whom the server refuses for now
// costs the others nothing, and gets the mail later.
func TestMailToMany(t *testing.T) {
	s := newMailServer(t, map[string]string{"RCPT TO:<ann@here.example>": "451 later"})
	ds, err := NewDestinations([]Settings{{Kind: KindMail, Server: s.addr, To: []string{"ann@here.example", "bob@here.example"}}}, noVariables, discard)
	if err != nil || len(ds) != 2 || ds[0].Name != "mail "+s.addr+" ann@here.example" {
		t.Fatalf("%d destinations, %v", len(ds), err)
	}
	if _, err := deliver(t, ds[1]); err != nil {
		t.Error(err)
	}
	_, err = deliverWithin(t, ds[0], 300*time.Millisecond)
	if _, later := tryLater(err); !later {
		t.Error(err)
	}
	if _, messages := s.got(); len(messages) != 1 || !strings.Contains(messages[0], "To: bob@here.example\n") {
		t.Errorf("%q", messages)
	}
}

// TestMailInClear: mail goes in clear to a server that never offered STARTTLS, and
// to one that did never again, across a reload too.
func TestMailInClear(t *testing.T) {
	site := httptest.NewTLSServer(http.NotFoundHandler())
	defer site.Close()
	begin := func() *Destination { return mailTo(t, "mail.example:25") }
	d := begin()
	session := func(offered string) error {
		t.Helper()
		client, server := net.Pipe() // not on loopback
		s := &mailServer{answers: map[string]string{"EHLO": offered}, tls: site.TLS}
		var served sync.WaitGroup
		served.Go(func() { s.serve(server) })
		_, err := mailer{"mail.example:25", "", "ann@here.example", &d.encrypted}.converse(client, testMessage("mail"))
		_ = client.Close()
		served.Wait()
		if _, messages := s.got(); (len(messages) == 1) != (err == nil) {
			t.Errorf("%d messages, %v", len(messages), err)
		}
		return err
	}
	const clear, encrypted = "250 mx.test", "250-mx.test\r\n250 STARTTLS"
	for _, offered := range []string{clear, clear, encrypted, encrypted} {
		if err := session(offered); err != nil {
			t.Error(err)
		}
	}
	a := start(Options{}, d)
	d = begin()
	a.SetDestinations(t.Context(), []*Destination{d})
	closeAlerts(t, a)
	if err := session(clear); err == nil || !strings.Contains(err.Error(), "not offered any more") {
		t.Errorf("in clear: %v", err)
	}
	if err := session(encrypted); err != nil {
		t.Error(err)
	}
}

// TestMailOfferInAnyCase: a keyword of EHLO is in any case (RFC 5321 section 2.4): one
// in lower case must not send our alerts in clear.
func TestMailOfferInAnyCase(t *testing.T) {
	site := httptest.NewTLSServer(http.NotFoundHandler())
	defer site.Close()
	for _, offered := range []string{"starttls", "StartTLS", "STARTTLS \r\n250-size 10240000"} {
		client, server := net.Pipe() // not on loopback
		s := &mailServer{answers: map[string]string{"EHLO": "250-mx.test\r\n250-" + offered + "\r\n250 8bitmime"}, tls: site.TLS}
		var served sync.WaitGroup
		served.Go(func() { s.serve(server) })
		_, err := mailer{"mail.example:25", "", "ann@here.example", new(atomic.Bool)}.converse(client, testMessage("mail"))
		_ = client.Close()
		served.Wait()
		want := "EHLO mail\nSTARTTLS\nEHLO mail\nMAIL FROM:<>\nRCPT TO:<ann@here.example>\nDATA\nQUIT"
		if dialogue, _ := s.got(); err != nil || dialogue != want {
			t.Errorf("%q: %v, the conversation:\n%s", offered, err, dialogue)
		}
	}
}

// TestMailIsTriedAgain when it was refused for now.
func TestMailIsTriedAgain(t *testing.T) {
	s := newMailServer(t, map[string]string{"MAIL FROM:<>": "451 later"})
	go func() {
		for {
			if dialogue, _ := s.got(); strings.Contains(dialogue, "MAIL") {
				s.mu.Lock()
				delete(s.answers, "MAIL FROM:<>")
				s.mu.Unlock()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if answer, err := deliver(t, mailTo(t, s.addr)); err != nil || answer == "" {
		t.Errorf("got %q, %v", answer, err)
	}
}

// TestMailHangs: a server that is silent, or that talks without end.
func TestMailHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := deliverWithin(t, mailTo(t, l.Addr().String()), 100*time.Millisecond); err == nil {
		t.Error("nobody answered, and it was delivered")
	}
	endless := newMailServer(t, map[string]string{"EHLO": strings.Repeat("250-x\r\n", 100_000) + "250 x"})
	if _, err := deliverWithin(t, mailTo(t, endless.addr), time.Second); err == nil {
		t.Error("700 KB of EHLO were taken")
	}
}

// FuzzMail: whatever a peer chooses, the mail has our headers alone, in ASCII,
// and no line that is too long.
func FuzzMail(f *testing.F) {
	f.Add("a\r\nBcc: eve@evil.example\r\n\r\nx")
	f.Add(strings.Repeat("x", 3000))
	f.Add(".\r\nQUIT")
	f.Add(strings.Repeat(" ", 358))
	m := mailer{server: "x:25", from: "a@b", to: "c@d"}
	f.Fuzz(func(t *testing.T, s string) {
		c := hostileChange(s)
		c.What = incident.Grown
		b := m.compose(messageOf(&c, "mail.here.example"), noon)
		for line := range strings.SplitSeq(string(b), "\r\n") {
			if len(line) > 998 || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("a line of %d: %q", len(line), line)
			}
		}
		got, err := mail.ReadMessage(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Header) != 9 || got.Header.Get("Bcc") != "" {
			t.Fatalf("headers: %v", got.Header)
		}
	})
}

func TestWrapped(t *testing.T) {
	long := strings.Repeat("word ", 60)
	for line := range strings.SplitSeq(wrapped(long), "\r\n") {
		if len(line) > 100 {
			t.Errorf("a line of %d", len(line))
		}
	}
	if got := strings.ReplaceAll(wrapped(long), "\r\n", " "); got != long {
		t.Errorf("got %q", got)
	}
	for _, long := range []string{strings.Repeat("x", 5000), "a" + strings.Repeat(" ", 5000), strings.Repeat(" ", 5000) + "x"} {
		for line := range strings.SplitSeq(wrapped(long), "\r\n") {
			if len(line) > 998 {
				t.Errorf("a line of %d", len(line))
			}
		}
	}
	if command := "    tlsratchet " + strings.Repeat("word ", 60); wrapped(command) != command {
		t.Error("a command is broken")
	}
}

func TestLog(t *testing.T) {
	var log bytes.Buffer
	d, err := newDestination(Settings{Kind: KindLog, Least: "info"}, noVariables, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	warning, met := stripped(), stripped()
	warning.Identity.Kind = 2
	met.Closed, met.ClosedBy = noon, incident.Met
	for _, tt := range []struct {
		c    incident.Change
		want string
	}{
		{changeOf(incident.Opened, stripped()), `level=ERROR msg=alert key=incident-17 what=opened severity=critical title="mx1.bank.example (192.0.2.10) came without TLS"`},
		{changeOf(incident.Opened, stripped()), ` next="tlsratchet explain address:192.0.2.10; tlsratchet peer unpin --why 'REASON' address:192.0.2.10; postsuper -H 4XyZ12; postsuper -H 4XyZ13"`},
		{changeOf(incident.Opened, warning), "level=WARN msg=alert"},
		{changeOf(incident.Closed, met), "level=INFO msg=alert"},
		{incident.Change{What: incident.Pinned, Identity: met.Identity}, "level=INFO msg=alert"},
	} {
		log.Reset()
		if _, err := d.send(t.Context(), messageOf(&tt.c, "mail")); err != nil {
			t.Fatal(err)
		}
		if s := log.String(); !strings.Contains(s, tt.want) || strings.Count(s, "\n") != 1 {
			t.Errorf("no %s in %s", tt.want, s)
		}
	}
}

// replies is a connection to a server whose replies are fixed.
type replies struct {
	net.Conn // nil: only what is below is used
	r        io.Reader
}

func (c replies) Read(p []byte) (int, error)  { return c.r.Read(p) }
func (c replies) Write(p []byte) (int, error) { return len(p), nil }
func (c replies) Close() error                { return nil }
func (c replies) RemoteAddr() net.Addr        { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 25} }

// FuzzReplies: whatever a server replies, a session ends, and what is shown of
// it is clean and short.
func FuzzReplies(f *testing.F) {
	f.Add("220 mx ESMTP\r\n250 mx\r\n250 ok\r\n250 ok\r\n354 go on\r\n250 queued\r\n221 bye\r\n")
	f.Add("220-mx\r\n220 mx\r\n250-mx\r\n250 STARTTLS\r\n451 4.3.0 later\x1b[2J\r\n")
	f.Add("220 mx\r\n502 no\r\n250 mx\r\n250 ok\r\n550 5.1.1 no\xff\r\n")
	f.Add("220 " + strings.Repeat("x", 70_000))
	m := mailer{"127.0.0.1:25", "a@mail.example", "b@here.example", new(atomic.Bool)}
	msg := testMessage("mail.example")
	f.Fuzz(func(t *testing.T, text string) {
		conn := replies{r: strings.NewReader(text)}
		answer, err := m.converse(conn, msg)
		err = cleanError(err)
		var reply *textproto.Error
		if errors.As(err, &reply) && len(reply.Msg) > maxShown+3 || len(answer) > maxShown+3 {
			t.Fatalf("%q, %v", answer, err)
		}
		if answer == "" && err == nil {
			t.Fatal("neither accepted nor an error")
		}
		if strings.ContainsFunc(answer, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("not clean: %q", answer)
		}
	})
}
