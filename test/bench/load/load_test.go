package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	gomilter "github.com/emersion/go-milter"
	"go.uber.org/goleak"

	"tlsratchet/milter/wire"
	"tlsratchet/test/mtatest"
	"tlsratchet/test/posttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counting accepts at MAIL and counts.
type counting struct {
	gomilter.NoOpMilter
	mails *sync.Map // how many of each sender
}

func (c counting) MailFrom(from string, _ *gomilter.Modifier) (gomilter.Response, error) {
	n, _ := c.mails.LoadOrStore(from, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
	return gomilter.RespAccept, nil
}

// serve returns a milter's socket.
func serve(t *testing.T, mails *sync.Map) string {
	t.Helper()
	server := wire.New(wire.Config{
		Backend:  func() gomilter.Milter { return counting{mails: mails} },
		Protocol: gomilter.OptNoConnect | gomilter.OptNoHelo,
		Limits:   wire.DefaultLimits(), Log: slog.New(slog.DiscardHandler),

		KeepHeader: func([]byte) bool { return false },
	})
	socket := filepath.Join(t.TempDir(), "m")
	lns, err := wire.Listen(wire.Spec{Network: wire.NetworkUnix, Address: socket}, wire.ListenOptions{Mode: 0o666, Group: -1})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(lns...) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Shutdown(context.Background()), <-served); err != nil {
			t.Error(err)
		}
	})
	return socket
}

func TestMilter(t *testing.T) {
	for _, test := range []struct {
		shape      Shape
		a, b, each int // messages of the two senders, and all
	}{
		{Shape{Sessions: 3, Length: 1, Messages: 10}, 5, 5, 10},
		{Shape{Sessions: 2, Length: 4, Messages: 12}, 8, 4, 12},
		{Shape{Sessions: 8, Length: 4, Messages: 1}, 4, 0, 4}, // one session at least
	} {
		var mails sync.Map
		l := Milter{
			Shape: test.shape, Socket: serve(t, &mails), Ends: 'M',
			Mails: []mtatest.Message{{From: "a@s.example"}, {From: "b@s.example"}},
		}
		r, err := l.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Waits) != test.each || r.Took <= 0 {
			t.Errorf("%+v: %d waits in %v", test.shape, len(r.Waits), r.Took)
		}
		for from, want := range map[string]int{"a@s.example": test.a, "b@s.example": test.b} {
			got := 0
			if n, ok := mails.Load(from); ok {
				got = int(n.(*atomic.Int64).Load())
			}
			if got != want {
				t.Errorf("%+v: %d messages of %s, want %d", test.shape, got, from, want)
			}
		}
	}
}

// One session in so many brings another message, which ends later.
func TestMilterRare(t *testing.T) {
	l := Milter{
		Ends: 'M', Every: 3,
		Mails: []mtatest.Message{{From: "a@s.example"}, {From: "b@s.example"}},
		Rare:  []mtatest.Message{{From: "x@s.example"}, {From: "y@s.example"}},
	}
	got := ""
	for n := range 10 {
		m, ends := l.mail(n)
		got += m.From[:1] + string(ends) + " "
	}
	if want := "xE bM aM yE aM bM xE bM aM yE "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What fails fast must not pass for speed.
func TestMilterFails(t *testing.T) {
	var mails sync.Map
	good := Milter{
		Shape: Shape{Sessions: 2, Length: 2, Messages: 8}, Socket: serve(t, &mails), Ends: 'M',
		Mails: []mtatest.Message{{From: "a@s.example"}},
	}
	other := good
	other.Ends = 'E'
	if _, err := other.Run(t.Context()); !errors.Is(err, ErrAnswer) {
		t.Errorf("another answer: %v", err)
	}
	nobody := good
	nobody.Socket += ".none"
	if _, err := nobody.Run(t.Context()); err == nil {
		t.Error("nobody there: no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := good.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	none := good
	none.Sessions = 0
	if _, err := none.Run(t.Context()); err == nil {
		t.Error("no sessions: no error")
	}
}

// smtpServer is as much of a SMTP server as is needed: it offers STARTTLS and
// takes all mail, or refuses it.
type smtpServer struct {
	net.Listener
	tls      *tls.Config
	refuse   bool
	messages atomic.Int64
	resumed  atomic.Int64
	sessions sync.WaitGroup
}

func newSMTPServer(t *testing.T, refuse bool) (*smtpServer, *tls.Config) {
	t.Helper()
	ca, err := posttest.NewCA("load test")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue("mx.test")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &smtpServer{Listener: ln, refuse: refuse, tls: &tls.Config{Certificates: []tls.Certificate{cert}}}
	s.sessions.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.sessions.Go(func() { s.session(c) })
		}
	})
	t.Cleanup(func() { ln.Close(); s.sessions.Wait() })
	client := &tls.Config{RootCAs: ca.Pool(), ServerName: "mx.test", ClientSessionCache: tls.NewLRUClientSessionCache(0)}
	return s, client
}

func (s *smtpServer) session(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	fmt.Fprint(c, "220 mx.test\r\n")
	data := false
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch line = strings.TrimSpace(line); {
		case data && line == ".":
			data = false
			s.messages.Add(1)
			fmt.Fprint(c, "250 queued\r\n")
		case data:
		case line == "STARTTLS":
			fmt.Fprint(c, "220 go on\r\n")
			t := tls.Server(c, s.tls)
			if t.Handshake() != nil {
				return
			}
			if t.ConnectionState().DidResume {
				s.resumed.Add(1)
			}
			c, in = t, bufio.NewReader(t)
		case line == "DATA":
			data = true
			fmt.Fprint(c, "354 go on\r\n")
		default:
			s.reply(c, line)
		}
	}
}

func (s *smtpServer) reply(w io.Writer, line string) {
	switch {
	case strings.HasPrefix(line, "EHLO"):
		fmt.Fprint(w, "250-mx.test\r\n250 STARTTLS\r\n")
	case s.refuse && strings.HasPrefix(line, "RCPT"):
		fmt.Fprint(w, "451 4.7.1 later\r\n")
	default:
		fmt.Fprint(w, "250 ok\r\n")
	}
}

func TestSMTP(t *testing.T) {
	server, config := newSMTPServer(t, false)
	l := SMTP{
		Shape: Shape{Sessions: 1, Length: 3, Messages: 9}, Server: server.Addr().String(),
		Sources: []string{"127.0.0.1", "127.0.0.2"}, TLS: config,
		Mail: posttest.Mail{From: "a@s.example", To: []string{"b@h.example"}, Body: "hello"},
	}
	r, err := l.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Waits) != 9 || server.messages.Load() != 9 || server.resumed.Load() != 2 {
		t.Errorf("%d waits, %d messages, %d resumed", len(r.Waits), server.messages.Load(), server.resumed.Load())
	}
}

func TestSMTPFails(t *testing.T) {
	server, config := newSMTPServer(t, true)
	l := SMTP{
		Shape: Shape{Sessions: 2, Length: 1, Messages: 2}, Server: server.Addr().String(),
		Sources: []string{"127.0.0.1"}, TLS: config,
		Mail: posttest.Mail{From: "a@s.example", To: []string{"b@h.example"}, Body: "hello"},
	}
	if _, err := l.Run(t.Context()); !errors.Is(err, ErrAnswer) {
		t.Errorf("refused: %v", err)
	}
	server.Close()
	if _, err := l.Run(t.Context()); err == nil || errors.Is(err, ErrAnswer) {
		t.Errorf("nobody there: %v", err)
	}
}
