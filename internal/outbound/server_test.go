package outbound

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tlsratchet/milter/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// held answers "encrypt" for bank.example alone.
func held(key []byte, _ uint32) bool {
	if string(key) == "panic.example" {
		panic("by order of the test")
	}
	return string(key) == "bank.example"
}

// serveOn runs a server on a unix socket until the end of the test.
func serveOn(t testing.TB, limits wire.DeskLimits, answer Answerer) (*Server, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p")
	lns, err := wire.Listen(wire.Spec{Network: wire.NetworkUnix, Address: path}, wire.ListenOptions{Mode: 0o666, Group: -1})
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(limits, answer, quiet)
	served := make(chan error, 1)
	go func() { served <- s.Serve(lns...) }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, path
}

func dial(t testing.TB, path string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// answered sends bytes, ends the sending, and returns all that comes.
func answered(t testing.TB, path, send string) string {
	t.Helper()
	c := dial(t, path)
	go func() {
		io.WriteString(c, send)
		c.(*net.UnixConn).CloseWrite()
	}()
	b, _ := io.ReadAll(c) // closed under us after garbage
	return string(b)
}

func TestProtocols(t *testing.T) {
	const yes, no = "VALUE bank.example 0 7\r\nencrypt\r\nEND\r\n", "END\r\n"
	_, path := serveOn(t, DefaultLimits(), held)
	long := strings.Repeat("a", 2000)
	for _, tt := range []struct{ name, send, want string }{
		{"held", "get bank.example\r\n", yes},
		{"not held", "get other.example\r\n", no},
		{"parent", "get .example\r\n", no},
		{"several on a connection", "get bank.example\r\nget .example\r\nget bank.example\r\n", yes + no + yes},
		{"bare newline", "get bank.example\n", yes},
		{"quit", "quit\r\nget bank.example\r\n", ""},
		{"two keys", "get bank.example other.example\r\n", "SERVER_ERROR only get\r\n"},
		{"no key", "get \r\n", "SERVER_ERROR only get\r\n"},
		{"set with its data", "set bank.example 0 0 3\r\nmay\r\n", "SERVER_ERROR only get\r\n"},
		{"too long", "get " + long + "\r\n", "SERVER_ERROR line too long\r\n"},
		{"no end", "get bank.example", ""},
		{"garbage", "\x00\xff\xfe\n", "SERVER_ERROR only get\r\n"},
		{"nothing", "", ""},
		{"socketmap, held", "16:pol bank.example,", netstring("OK encrypt")},
		{"socketmap, not held", "12:pol one.test,12:pol one.test,", netstring("NOTFOUND ") + netstring("NOTFOUND ")},
		{"socketmap, 9 bytes", "9:pol a.tst,", netstring("NOTFOUND ")},
		{"socketmap, 90 bytes", netstring("pol " + strings.Repeat("a", 86)), netstring("NOTFOUND ")},
		{"socketmap, too long", "2000:" + long + ",", ""},
		{"socketmap, endless length", strings.Repeat("1", 500), ""},
		{"a space before the key", "get  bank.example\r\n", "SERVER_ERROR only get\r\n"},
		{"socketmap, an empty netstring", "0:,\n", ""},
		{"socketmap, no comma", "12:pol one.test;", ""},
		{"socketmap, no key", "4:pol ,", ""},
		{"socketmap, cut short", "12:pol one", ""},
	} {
		if got := answered(t, path, tt.send); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func netstring(text string) string { return fmt.Sprintf("%d:%s,", len(text), text) }

func TestStatsCount(t *testing.T) {
	s, path := serveOn(t, DefaultLimits(), held)
	answered(t, path, "get bank.example\r\nget other.example\r\nnonsense\r\n")
	answered(t, path, "get panic.example\r\n")
	if got := s.Stats(); got.Lookups != 3 || got.Encrypts != 1 || got.Refused != 1 || got.Panics != 1 {
		t.Errorf("%+v", got)
	}
	if got := answered(t, path, "get bank.example\r\n"); !strings.HasPrefix(got, "VALUE") {
		t.Errorf("after a panic: %q", got)
	}
}

// The pid of the other end is that of this process.
func TestAskerIsKnown(t *testing.T) {
	var pid uint32
	_, path := serveOn(t, DefaultLimits(), func(_ []byte, p uint32) bool { pid = p; return false })
	answered(t, path, "get bank.example\r\n")
	if int(pid) != os.Getpid() {
		t.Errorf("pid %d, this is %d", pid, os.Getpid())
	}
}

func TestConnectionLimit(t *testing.T) {
	limits := DefaultLimits()
	limits.Connections = 2
	s, path := serveOn(t, limits, held)
	for range 2 {
		c := dial(t, path)
		fmt.Fprint(c, "get x\r\n")
		if _, err := c.Read(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
	}
	if got := answered(t, path, "get bank.example\r\n"); got != "" {
		t.Errorf("one too many was answered: %q", got)
	}
	if got := s.Stats(); got.OverLimit != 1 || got.Open != 2 {
		t.Errorf("%+v", got)
	}
}

// pipe is a listener of one connection in memory.
type pipe struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (p pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conn:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p pipe) Close() error   { close(p.closed); return nil }
func (p pipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func TestDeadlines(t *testing.T) {
	for _, tt := range []struct {
		name, send string
		min, max   time.Duration
	}{
		{"silent", "", time.Hour, 75 * time.Minute},
		{"in the middle of a line", "get ba", 5 * time.Second, 5 * time.Second},
		{"in the middle of a netstring", "12:pol", 5 * time.Second, 5 * time.Second},
		{"in the middle of its length", "12", 5 * time.Second, 5 * time.Second},
		{"after an answer", "get a\r\n", time.Hour, 75 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := NewServer(DefaultLimits(), held, quiet)
				ln := pipe{make(chan net.Conn, 1), make(chan struct{})}
				served := make(chan error, 1)
				go func() { served <- s.Serve(ln) }()
				ours, theirs := net.Pipe()
				ln.conn <- theirs
				begin := time.Now()
				go io.WriteString(ours, tt.send)
				io.Copy(io.Discard, ours)
				if d := time.Since(begin); d < tt.min || d > tt.max {
					t.Errorf("closed after %s", d)
				}
				ours.Close()
				s.Shutdown(t.Context())
				<-served
				if n := s.Stats().Timeouts; n != 1 {
					t.Errorf("%d timeouts", n)
				}
			})
		})
	}
}

// trickle sends a byte every four seconds, and returns when it was refused.
func trickle(c net.Conn, text string) time.Duration {
	begin := time.Now()
	for i := range len(text) {
		if _, err := c.Write([]byte{text[i]}); err != nil {
			break
		}
		time.Sleep(4 * time.Second)
	}
	return time.Since(begin)
}

// A request that comes byte by byte has no longer than one that stops.
func TestTrickle(t *testing.T) {
	for _, text := range []string{"get bank.example", "0016:pol bank.example,"} {
		synctest.Test(t, func(t *testing.T) {
			s := NewServer(DefaultLimits(), held, quiet)
			ours, theirs := net.Pipe()
			done := make(chan struct{})
			go func() { defer close(done); defer theirs.Close(); s.Handle(theirs) }()
			if took := trickle(ours, text); took > 12*time.Second {
				t.Errorf("%q lasted %s", text, took)
			}
			ours.Close()
			<-done
		})
	}
}

// Many clients that send half a request, or many requests at once and read
// nothing, keep nobody else from an answer.
func TestCrowd(t *testing.T) {
	limits := DefaultLimits()
	limits.Request, limits.Write = time.Hour, time.Hour // a busy machine is not what is tried here
	_, path := serveOn(t, limits, held)
	var flooding sync.WaitGroup
	t.Cleanup(flooding.Wait)
	flood := []byte(strings.Repeat("get bank.example\r\n", 10_000))
	for i := range 500 {
		c := dial(t, path)
		if i%10 == 0 {
			flooding.Go(func() { c.Write(flood) })
		} else {
			io.WriteString(c, "get bank.exa")
		}
	}
	if got := answered(t, path, "get bank.example\r\n"); !strings.HasPrefix(got, "VALUE") {
		t.Errorf("%q", got)
	}
	all := answered(t, path, string(flood))
	if n := strings.Count(all, "encrypt\r\nEND\r\n"); n != 10_000 {
		t.Errorf("%d of 10000 requests on one connection were answered", n)
	}
}

// A client whose replies nobody reads ends after the write deadline.
func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(DefaultLimits(), held, quiet)
		ln := pipe{make(chan net.Conn, 1), make(chan struct{})}
		served := make(chan error, 1)
		go func() { served <- s.Serve(ln) }()
		ours, theirs := net.Pipe()
		ln.conn <- theirs
		io.WriteString(ours, "get a\r\n")
		time.Sleep(7 * time.Second) // five, and up to a quarter more
		synctest.Wait()
		if n := s.Stats(); n.Open != 0 || n.Timeouts != 1 {
			t.Errorf("%+v", n)
		}
		s.Shutdown(t.Context())
		<-served
	})
}

func TestShutdownEndsIdleConnections(t *testing.T) {
	s, path := serveOn(t, DefaultLimits(), held)
	c := dial(t, path)
	fmt.Fprint(c, "get x\r\n")
	bufio.NewReader(c).ReadString('\n')
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection: %v, want EOF", err)
	}
}

func FuzzRequests(f *testing.F) {
	f.Add([]byte("get bank.example\r\nquit\r\n"))
	f.Add([]byte("12:pol one.test,"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		s := NewServer(DefaultLimits(), held, quiet)
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() { defer close(done); defer theirs.Close(); s.Handle(theirs) }()
		go func() { ours.Write(sent); ours.Close() }()
		io.Copy(io.Discard, ours)
		<-done
	})
}

func BenchmarkLookup(b *testing.B) {
	_, path := serveOn(b, DefaultLimits(), held)
	c := dial(b, path)
	in, request := make([]byte, 256), []byte("get bank.example\r\n")
	b.ReportAllocs()
	for b.Loop() {
		c.Write(request)
		if _, err := c.Read(in); err != nil {
			b.Fatal(err)
		}
	}
}
