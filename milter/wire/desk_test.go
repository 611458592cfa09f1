package wire

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
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
			inBubble(t, deskDoor(echo), func(d *door, ln *pipes) { d.closes(t, ln, test.say, test.min, test.max) })
		})
	}
}

// The deadline of writing is renewed before it is nearer than its limit.
func TestWriteDeadlineIsRenewed(t *testing.T) {
	inBubble(t, deskDoor(echo), func(d *door, ln *pipes) {
		c := ln.dial()
		for range 20 {
			ask(t, c, "hello")
			time.Sleep(2 * time.Second)
		}
		io.WriteString(c, "hello\n")
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if st := d.stats(); st.Open != 1 {
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

// What is not logged at this level hides nothing that is.
func TestUnloggedEndsHideNone(t *testing.T) {
	log := &lines{}
	d := NewDesk("test", deskLimits, 64, echo, slog.New(slog.NewTextHandler(log, nil)))
	for _, send := range []string{"hel", "\x01\n"} { // broken off, which is for debugging; refused
		d.Handle(&tape{in: pieces(send)})
	}
	if logged := log.all(); len(logged) != 1 || !strings.Contains(logged[0], "refused") || !strings.Contains(logged[0], "not_logged=0") {
		t.Errorf("logged %q", logged)
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
	tp := &tape{in: pieces("a\n", "b\nc\n", "d\n")}
	d.Handle(tp)
	if got := bytes.Join(tp.writes, []byte("|")); string(got) != "a\n|b\nc\n|d\n" || tp.reads != 4 || tp.deadline != 3 {
		t.Errorf("%d reads, wrote %q, %d deadlines", tp.reads, tp.writes, tp.deadline)
	}
	tp = &tape{in: pieces("a\n", "b\n"), fail: errors.New("broken pipe")}
	d.Handle(tp)
	if len(tp.writes) != 1 || d.Stats().Broken != 1 {
		t.Errorf("after a failed write: %q, %+v", tp.writes, d.Stats())
	}
	tp = &tape{in: pieces("quit\n")}
	if d.Handle(tp); len(tp.writes) != 1 {
		t.Errorf("the last answer was not sent: %q", tp.writes)
	}
}

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
		tp := &tape{in: pieces("hello\n")}
		if d.Handle(tp); raw[len(raw)-1] != net.Conn(tp) {
			t.Error("another connection")
		}
	}
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

// A drain closes the idle at once, whether they asked or not, and lets what is
// under way come to its end.
func TestDeskShutdownDrains(t *testing.T) {
	inBubble(t, deskDoor(echo), func(d *door, ln *pipes) {
		fresh, idle, busy, half := ln.dial(), ln.dial(), ln.dial(), ln.dial()
		ask(t, idle, "begin")
		ask(t, idle, "end")
		ask(t, busy, "begin")
		io.WriteString(half, "hel")
		synctest.Wait()

		drained := d.drain(t, fresh, idle)
		time.Sleep(9 * time.Second)
		io.WriteString(half, "lo\n")
		if got, err := io.ReadAll(half); string(got) != "hello\n" || err != nil {
			t.Errorf("what was under way: %q, %v", got, err)
		}
		time.Sleep(time.Minute)
		ask(t, busy, "more")
		ask(t, busy, "end")
		if took := closedAfter(busy); took != 0 {
			t.Errorf("closed %v after its end", took)
		}
		drained()
		if logged := d.log.all(); len(logged) != 0 || d.stats() != (DeskStats{GateStats: GateStats{Accepted: 4}}) {
			t.Errorf("%+v %q", d.stats(), logged)
		}
	})
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
