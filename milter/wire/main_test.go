package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-milter"
	"go.uber.org/goleak"

	"tlsratchet/test/mtatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines is a log that tests can read.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// all returns the lines so far.
func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.TrimSuffix(l.buf.String(), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func (l *lines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// filter is a session's callbacks made of functions; what isn't set accepts.
type filter struct {
	milter.NoOpMilter
	mail   func(from string, m *milter.Modifier) milter.Response
	rcpt   func(to string) milter.Response
	header func(name, value string) milter.Response
	eob    func(m *milter.Modifier) milter.Response
}

func (f filter) MailFrom(from string, m *milter.Modifier) (milter.Response, error) {
	if f.mail == nil {
		return milter.RespAccept, nil
	}
	return f.mail(from, m), nil
}

func (f filter) RcptTo(to string, _ *milter.Modifier) (milter.Response, error) {
	if f.rcpt == nil {
		return milter.RespContinue, nil
	}
	return f.rcpt(to), nil
}

func (f filter) Header(name, value string, _ *milter.Modifier) (milter.Response, error) {
	if f.header == nil {
		return nil, nil
	}
	return f.header(name, value), nil
}

func (f filter) Body(m *milter.Modifier) (milter.Response, error) {
	if f.eob == nil {
		return milter.RespAccept, nil
	}
	return f.eob(m), nil
}

// goOn is a filter that wants every message to its end.
func goOn() filter {
	return filter{mail: func(string, *milter.Modifier) milter.Response { return milter.RespContinue }}
}

const quietStages = milter.OptNoConnect | milter.OptNoHelo | milter.OptNoData | milter.OptNoEOH |
	milter.OptNoBody | milter.OptNoHeaderReply

// daemon is a server on a unix socket.
type daemon struct {
	*Server
	addr string
	log  *lines
}

func newConfig(f filter, log *lines) Config {
	return Config{
		Backend:  func() milter.Milter { return f },
		Actions:  milter.OptAddHeader | milter.OptChangeHeader | milter.OptQuarantine | milter.OptSetSymList,
		Protocol: quietStages,
		SymList:  map[milter.Stage][]string{milter.StageMailFrom: {"{client_addr}", "{tls_version}"}},
		Limits:   DefaultLimits(),
		Log:      log.logger(),

		KeepHeader: ours,
	}
}

// start runs a server until the end of the test.
func start(t testing.TB, f filter, change func(*Config)) *daemon {
	t.Helper()
	log := &lines{}
	config := newConfig(f, log)
	if change != nil {
		change(&config)
	}
	s := New(config)
	return &daemon{Server: s, addr: runServer(t, s), log: log}
}

func (d *daemon) dial(t testing.TB) *mtatest.Session {
	t.Helper()
	s, err := mtatest.Dial(context.Background(), "unix", d.addr, mtatest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// raw connects and says nothing.
func (d *daemon) raw(t testing.TB) net.Conn {
	t.Helper()
	return dialUnix(t, d.addr)
}

// healthy checks that a client is served.
func (d *daemon) healthy(t testing.TB) {
	t.Helper()
	s := d.dial(t)
	defer s.Close()
	r, err := s.Message(mail())
	if err != nil || !r.End.Refused() && r.End.String() != "accept" {
		t.Fatalf("healthy client: end %q, error %v", r.End, err)
	}
}

func mail() mtatest.Message {
	return mtatest.Message{
		Macros:  map[string]string{"{client_addr}": "192.0.2.1", "{tls_version}": "TLSv1.3", "i": "4XyZ"},
		From:    "ann@sender.example",
		Rcpts:   []string{"bob@here.example"},
		Headers: [][2]string{{"Subject", "hello"}, {"X-Ours", "forged"}, {"x-ours", "again"}},
		Body:    []byte("hello\r\n"),
	}
}

// frame is one packet.
func frame(cmd byte, data string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(1+len(data)))
	return append(append(b, cmd), data...)
}

// optNeg is what a client says first.
func optNeg() []byte { return frame('O', "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff") }

// until waits for something that another goroutine does.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never came: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// pipes is a listener for synctest: connections of memory, errors at will.
type pipes struct {
	in     chan any // net.Conn or error
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{in: make(chan any, 100), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case x := <-p.in:
		if err, ok := x.(error); ok {
			return nil, err
		}
		return x.(net.Conn), nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "/test", Net: "unix"} }

// dial hands the server the other end.
func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.in <- theirs
	return ours
}
