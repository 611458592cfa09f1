package wire

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
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

// echo answers each line with itself. After "begin" it is busy until "end".
func echo(a *Asker) error {
	for {
		first, err := a.Await()
		if err != nil {
			return err
		}
		if first < ' ' {
			return fmt.Errorf("%w: no line", ErrRefused)
		}
		line, err := a.In.ReadSlice('\n')
		if err != nil {
			return err
		}
		a.Out = append(a.Out, line...)
		switch strings.TrimSpace(string(line)) {
		case "begin":
			a.Busy = true
		case "end":
			a.Busy = false
		case "quit":
			return nil
		case "boom":
			panic("boom\nand more\x1b[2J")
		}
	}
}

var limits = DeskLimits{Connections: 100, Idle: 9 * time.Hour, Request: 10 * time.Second, Write: 10 * time.Second}

// daemon is a desk on a unix socket.
type daemon struct {
	*Desk
	addr string
	log  *lines
}

// start runs a desk until the end of the test.
func start(t testing.TB, limits DeskLimits, serve func(*Asker) error) *daemon {
	t.Helper()
	d := &daemon{addr: filepath.Join(t.TempDir(), "m"), log: &lines{}}
	d.Desk = NewDesk("test", limits, 64, serve, d.log.logger())
	lns, err := Listen(Spec{Network: NetworkUnix, Address: d.addr}, ListenOptions{Mode: 0o666, Group: -1})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- d.Serve(lns...) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		d.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return d
}

// dial connects and sends nothing.
func (d *daemon) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

// ask sends a line and wants it back.
func ask(t testing.TB, c net.Conn, line string) {
	t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := bufio.NewReader(c).ReadString('\n'); err != nil || got != line+"\n" {
		t.Fatalf("answer %q, %v", got, err)
	}
}

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

// inBubble runs a desk on connections of memory and a clock of its own.
func inBubble(t *testing.T, play func(d *Desk, ln *pipes, log *lines)) {
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		d := NewDesk("test", limits, 64, echo, log.logger())
		ln := newPipes()
		served := make(chan error, 1)
		go func() { served <- d.Serve(ln) }()
		play(d, ln, log)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		d.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// closedAfter returns how long a client waits for its end.
func closedAfter(c net.Conn) time.Duration {
	began := time.Now()
	io.Copy(io.Discard, c)
	c.Close()
	return time.Since(began)
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
