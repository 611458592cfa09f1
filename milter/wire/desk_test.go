package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestDeskDeadlines(t *testing.T) {
	idle := deskLimits.Idle
	for _, test := range []struct {
		name     string
		say      func(t *testing.T, c net.Conn)
		min, max time.Duration
	}{
		{"silence", func(*testing.T, net.Conn) {}, 10 * time.Second, 10 * time.Second},
		{"half a first request", func(t *testing.T, c net.Conn) {
			time.Sleep(time.Second)
			io.WriteString(c, "hel")
		}, 9 * time.Second, 9 * time.Second},
		{"half a request", func(t *testing.T, c net.Conn) {
			ask(t, c, "hello")
			time.Sleep(time.Hour)
			io.WriteString(c, "hel")
		}, 10 * time.Second, 10 * time.Second},
		{"dripping", func(t *testing.T, c net.Conn) {
			ask(t, c, "hello")
			for range 9 {
				io.WriteString(c, "x")
				time.Sleep(time.Second)
			}
		}, time.Second, time.Second},
		{"idle", func(t *testing.T, c net.Conn) { ask(t, c, "hello") }, idle, idle + idle/4},
		{"idle after much", func(t *testing.T, c net.Conn) {
			for range 50 {
				ask(t, c, "hello")
				time.Sleep(idle / 10)
			}
			ask(t, c, "hello")
		}, idle, idle + idle/4},
		{"half a request after much", func(t *testing.T, c net.Conn) {
			for range 5 { // each in two parts, 40 s in all
				io.WriteString(c, "hel")
				time.Sleep(8 * time.Second)
				io.WriteString(c, "lo\n")
				io.ReadFull(c, make([]byte, len("hello\n")))
			}
			io.WriteString(c, "hel")
		}, 10 * time.Second, 10 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			deskBubble(t, func(d *Desk, ln *pipes, log *lines) {
				c := ln.dial()
				test.say(t, c)
				if got := closedAfter(c); got < test.min || got > test.max {
					t.Errorf("closed after %v, want %v to %v", got, test.min, test.max)
				}
				synctest.Wait()
				if logged := log.all(); d.Stats().Timeouts != 1 || len(logged) != 1 || !strings.Contains(logged[0], "level=WARN") || !strings.Contains(logged[0], "timeout") {
					t.Errorf("%+v %q", d.Stats(), logged)
				}
			})
		})
	}
}

// A client that doesn't read its answers holds nobody for long.
func TestDeskWriteDeadline(t *testing.T) {
	deskBubble(t, func(d *Desk, ln *pipes, log *lines) {
		c := ln.dial()
		io.WriteString(c, "hello\n")
		time.Sleep(12 * time.Second)
		synctest.Wait()
		if st := d.Stats(); st.Open != 1 {
			t.Errorf("closed early: %+v", st)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if st := d.Stats(); st.Timeouts != 1 || st.Open != 0 {
			t.Errorf("%+v", st)
		}
		c.Close()
	})
}

// The deadline of writing is renewed before it is nearer than its limit.
func TestWriteDeadlineIsRenewed(t *testing.T) {
	deskBubble(t, func(d *Desk, ln *pipes, _ *lines) {
		c := ln.dial()
		for range 20 {
			ask(t, c, "hello")
			time.Sleep(2 * time.Second)
		}
		io.WriteString(c, "hello\n")
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if st := d.Stats(); st.Open != 1 {
			t.Errorf("closed early: %+v", st)
		}
		c.Close()
	})
}

// What ends a connection is counted and logged for what it is, and a client that
// leaves between two requests is not.
func TestEnds(t *testing.T) {
	for _, tt := range []struct {
		name, send string
		want       DeskStats
		log        []string
	}{
		{"leaves", "hello\n", DeskStats{}, nil},
		{"quits", "quit\n", DeskStats{}, nil},
		{"nothing", "", DeskStats{}, nil},
		{"half", "hello\nhel", DeskStats{Broken: 1}, []string{"level=DEBUG", `msg="test connection closed"`, `error="unexpected EOF"`, "listener="}},
		{"refused", "hello\n\x1b[2Jrest\n", DeskStats{Refused: 1}, []string{"level=WARN", `error="refused: no line"`, `next=?[2Jrest?`, "not_logged=0"}},
		{"much refused", "\x01" + strings.Repeat("x", 99), DeskStats{Refused: 1}, []string{`next=?` + strings.Repeat("x", 63)}},
		{"too long", strings.Repeat("x", 99), DeskStats{Broken: 1}, []string{"buffer full"}},
		{"panics", "boom\n", DeskStats{GateStats: GateStats{Panics: 1}}, []string{"level=ERROR", `error="panic: boom?and more?[2J"`, "stack="}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := startDesk(t, deskLimits, echo)
			c := d.dial(t)
			io.WriteString(c, tt.send)
			c.(*net.UnixConn).CloseWrite()
			io.Copy(io.Discard, c)
			until(t, "the end", func() bool { return d.Stats().Open == 0 })
			got, logged := d.Stats(), strings.Join(d.log.all(), "\n")
			if tt.want.Accepted = 1; got != tt.want {
				t.Errorf("%+v", got)
			}
			for _, part := range tt.log {
				if !strings.Contains(logged, part) {
					t.Errorf("%s is not in %s", part, logged)
				}
			}
			if len(tt.log) == 0 && logged != "" || strings.Contains(logged, "\n") {
				t.Error(logged)
			}
			ask(t, d.dial(t), "the next client is served")
		})
	}
}

// Which host sent what was refused is in the log.
func TestEndNamesTheClient(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := &lines{}
	d := NewDesk("test", deskLimits, 64, echo, log.logger())
	served := make(chan error, 1)
	go func() { served <- d.Serve(ln) }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "\x01\n")
	until(t, "the end", func() bool { return d.Stats().Refused == 1 && d.Stats().Open == 0 })
	if logged := strings.Join(log.all(), "\n"); !strings.Contains(logged, " from="+c.LocalAddr().String()) {
		t.Error(logged)
	}
	if err := d.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// One request that is here whole costs one read and one write, and several cost
// no more.
func TestDeskOneReadOneWrite(t *testing.T) {
	d := NewDesk("test", deskLimits, 64, echo, (&lines{}).logger())
	tp := &deskTape{in: []string{"a\n", "b\nc\n", "d\n"}}
	d.Handle(tp)
	if want := []string{"a\n", "b\nc\n", "d\n"}; strings.Join(tp.writes, "|") != strings.Join(want, "|") || tp.reads != 4 || tp.deadlines != 3 {
		t.Errorf("%d reads, wrote %q, %d deadlines", tp.reads, tp.writes, tp.deadlines)
	}
	tp = &deskTape{in: []string{"a\n", "b\n"}, fail: errors.New("broken pipe")}
	d.Handle(tp)
	if len(tp.writes) != 1 || d.Stats().Broken != 1 {
		t.Errorf("after a failed write: %q, %+v", tp.writes, d.Stats())
	}
	tp = &deskTape{in: []string{"quit\n"}}
	if d.Handle(tp); len(tp.writes) != 1 {
		t.Errorf("the last answer was not sent: %q", tp.writes)
	}
}

// deskTape is a net.Conn that plays what the client sends, piece by piece, and
// keeps what it is sent: one entry for each system call there would be.
type deskTape struct {
	net.Conn
	in               []string
	reads, deadlines int
	writes           []string
	fail             error
}

func (t *deskTape) Read(p []byte) (int, error) {
	t.reads++
	if len(t.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, t.in[0])
	if t.in[0] = t.in[0][n:]; t.in[0] == "" {
		t.in = t.in[1:]
	}
	return n, nil
}

func (t *deskTape) Write(p []byte) (int, error) {
	t.writes = append(t.writes, string(p))
	return len(p), t.fail
}

func (t *deskTape) SetReadDeadline(time.Time) error  { t.deadlines++; return nil }
func (t *deskTape) SetWriteDeadline(time.Time) error { t.deadlines++; return nil }
func (t *deskTape) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "/test", Net: "unix"} }
func (t *deskTape) RemoteAddr() net.Addr             { return &net.UnixAddr{Net: "unix"} }

// An asker knows nothing of the client before it.
func TestAskersAreNew(t *testing.T) {
	var raw []net.Conn
	d := NewDesk("test", deskLimits, 64, func(a *Asker) error {
		if raw = append(raw, a.Conn()); a.Busy || len(a.Out) > 0 || a.In.Buffered() > 0 || !a.until.IsZero() || !a.writeUntil.IsZero() {
			t.Errorf("left over: %+v", a)
		}
		a.Busy = true
		a.Await()
		a.Out = append(a.Out, "x"...)
		return ErrRefused
	}, (&lines{}).logger())
	for range 5 {
		tp := &deskTape{in: []string{"hello\n"}}
		if d.Handle(tp); raw[len(raw)-1] != net.Conn(tp) {
			t.Error("another connection")
		}
	}
}

// Over the limit the answer is an end, at once, and one line reports all.
func TestDeskConnectionLimit(t *testing.T) {
	few := deskLimits
	few.Connections = 8
	d := startDesk(t, few, echo)
	var held []net.Conn
	for range 8 {
		held = append(held, d.dial(t))
		ask(t, held[len(held)-1], "hello")
	}
	for range 1000 {
		c := d.dial(t)
		if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read %d, %v", n, err)
		}
		c.Close()
	}
	for _, c := range held {
		ask(t, c, "again")
		c.Close()
	}
	until(t, "room", func() bool { return d.Stats().Open == 0 })
	ask(t, d.dial(t), "hello")
	if st := d.Stats(); st.OverLimit != 1000 || st.Accepted != 9 {
		t.Errorf("stats %+v", st)
	}
	if logged := d.log.all(); len(logged) != 1 || !strings.Contains(logged[0], "too many are open") || !strings.Contains(logged[0], "limit=8") {
		t.Errorf("logged %q", logged)
	}
}

func TestDeskAcceptRecovers(t *testing.T) {
	deskBubble(t, func(d *Desk, ln *pipes, log *lines) {
		for range 10 {
			ln.in <- &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
		}
		ln.in <- os.NewSyscallError("accept4", syscall.ECONNABORTED)
		began := time.Now()
		c := ln.dial()
		ask(t, c, "hello")
		c.Close()
		// 5, 10 … 640 ms, then a second each.
		if waited := time.Since(began); waited != 1275*time.Millisecond+3*time.Second {
			t.Errorf("waited %v", waited)
		}
		if logged := log.all(); d.Stats().AcceptErrors != 11 || len(logged) != 1 || !strings.Contains(logged[0], "too many open files") {
			t.Errorf("%+v %q", d.Stats(), logged)
		}
	})
}

// A connection that is one too many ends a back-off as any other does.
func TestBackOffEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate("test", 1, (&lines{}).logger())
		ln := newPipes()
		first := ln.dial()
		if _, err := g.accept(ln); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			ln.in <- syscall.EMFILE
		}
		many := ln.dial()
		ln.in <- syscall.EMFILE
		ln.in <- syscall.EBADF
		began := time.Now()
		if _, err := g.accept(ln); !errors.Is(err, syscall.EBADF) {
			t.Error(err)
		}
		if waited, want := time.Since(began), (5+10+20+5)*time.Millisecond; waited != want || g.Stats().OverLimit != 1 {
			t.Errorf("waited %v, want %v: %+v", waited, want, g.Stats())
		}
		many.Close()
		first.Close()
	})
}

// A connection that comes while the gate drains is closed, and not counted as
// open.
func TestComesWhileDraining(t *testing.T) {
	g := NewGate("test", 1, (&lines{}).logger())
	g.beginDrain()
	ours, theirs := net.Pipe()
	if g.admit(theirs) || g.Stats() != (GateStats{}) {
		t.Errorf("%+v", g.Stats())
	}
	if _, err := ours.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("not closed: %v", err)
	}
}

// Shutdown doesn't wait for the end of a back-off.
func TestDeskShutdownDuringBackOff(t *testing.T) {
	deskBubble(t, func(d *Desk, ln *pipes, _ *lines) {
		for range 20 {
			ln.in <- syscall.ENFILE
		}
		time.Sleep(1500 * time.Millisecond)
		began := time.Now()
		if err := d.Shutdown(context.Background()); err != nil || time.Since(began) != 0 {
			t.Errorf("took %v: %v", time.Since(began), err)
		}
	})
}

// A listener that is broken for good ends Serve with an error that names it, and
// the other with it; its connections can still be drained.
func TestDeskListenerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDesk("test", deskLimits, 64, echo, (&lines{}).logger())
		bad, good := newPipes(), newPipes()
		served := make(chan error)
		go func() { served <- d.Serve(good, bad) }()
		c := good.dial()
		ask(t, c, "begin")
		bad.in <- syscall.EINVAL
		if err := <-served; !errors.Is(err, syscall.EINVAL) || !strings.HasPrefix(err.Error(), "accept on /test: ") {
			t.Errorf("Serve: %v", err)
		}
		ask(t, c, "end")
		if err := d.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		c.Close()
		later := newPipes()
		if err := d.Serve(later); err != nil {
			t.Errorf("Serve after Shutdown: %v", err)
		}
		if _, err := later.Accept(); err == nil {
			t.Error("Serve after Shutdown left the listener open")
		}
	})
}

// A drain closes the idle at once, whether they asked or not, and lets what is
// under way come to its end.
func TestDeskShutdownDrains(t *testing.T) {
	deskBubble(t, func(d *Desk, ln *pipes, log *lines) {
		fresh, idle, busy, half := ln.dial(), ln.dial(), ln.dial(), ln.dial()
		ask(t, idle, "begin")
		ask(t, idle, "end")
		ask(t, busy, "begin")
		io.WriteString(half, "hel")
		synctest.Wait()

		var wg sync.WaitGroup
		wg.Go(func() {
			if err := d.Shutdown(context.Background()); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
		if d := closedAfter(fresh) + closedAfter(idle); d != 0 {
			t.Errorf("the idle waited %v", d)
		}
		time.Sleep(9 * time.Second)
		io.WriteString(half, "lo\n")
		if got, err := io.ReadAll(half); string(got) != "hello\n" || err != nil {
			t.Errorf("what was under way: %q, %v", got, err)
		}
		time.Sleep(time.Minute)
		ask(t, busy, "more")
		ask(t, busy, "end")
		if d := closedAfter(busy); d != 0 {
			t.Errorf("closed %v after its end", d)
		}
		wg.Wait()
		if logged := log.all(); len(logged) != 0 || d.Stats() != (DeskStats{GateStats: GateStats{Accepted: 4}}) {
			t.Errorf("%+v %q", d.Stats(), logged)
		}
	})
}

// What doesn't come to its end is cut when the time is over, and the error
// reports it.
func TestDeskShutdownCuts(t *testing.T) {
	deskBubble(t, func(d *Desk, ln *pipes, log *lines) {
		busy, half := ln.dial(), ln.dial()
		ask(t, busy, "begin")
		io.WriteString(half, "hel")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		began := time.Now()
		err := d.Shutdown(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "2 test connections cut") {
			t.Errorf("Shutdown: %v", err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
		if logged := log.all(); len(logged) != 0 {
			t.Errorf("logged %q", logged)
		}
		busy.Close()
		half.Close()
	})
}

// A handler that hangs is left behind, with its connection closed.
func TestShutdownLeavesHungHandlers(t *testing.T) {
	entered, free := make(chan struct{}), make(chan struct{})
	d := startDesk(t, deskLimits, func(*Asker) error {
		close(entered)
		<-free
		return nil
	})
	c := d.dial(t)
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is still open: %v", err)
	}
	close(free)
	until(t, "the end of the session", func() bool { return d.Stats().Open == 0 })
}

func TestSparse(t *testing.T) {
	var s sparse
	at := time.Date(2026, 9, 21, 0, 0, 0, 0, time.UTC)
	for i, test := range []struct {
		after  time.Duration
		hidden int
		ok     bool
	}{
		{0, 0, true},
		{time.Second, 0, false},
		{time.Minute, 0, false},
		{time.Minute + 1, 2, true},
		{time.Minute + 2, 0, false},
		{3 * time.Minute, 1, true},
		{5 * time.Minute, 0, true},
	} {
		hidden, ok := s.allow(at.Add(test.after))
		if hidden != test.hidden || ok != test.ok {
			t.Errorf("%d: got %d %v, want %d %v", i, hidden, ok, test.hidden, test.ok)
		}
	}
}
