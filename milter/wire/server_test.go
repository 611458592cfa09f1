package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-milter"
	"github.com/google/go-cmp/cmp"

	"tlsratchet/test/mtatest"
)

func TestServe(t *testing.T) {
	var from, tls string
	f := goOn()
	f.mail = func(addr string, m *milter.Modifier) milter.Response {
		from, tls = addr, m.Macros["{tls_version}"]
		return milter.RespContinue
	}
	var headers []string
	f.header = func(name, value string) milter.Response {
		headers = append(headers, name+": "+value)
		return nil
	}
	f.eob = func(m *milter.Modifier) milter.Response {
		m.Quarantine("held")
		m.ChangeHeader(2, "X-Ours", "")
		m.InsertHeader(0, "X-Ours", "ours")
		return milter.RespAccept
	}
	d := start(t, f, func(c *Config) { c.KeepHeader = ours })
	s := d.dial(t)
	for range 3 {
		headers = nil
		r, err := s.Message(mail())
		if err != nil {
			t.Fatal(err)
		}
		if from != "ann@sender.example" || tls != "TLSv1.3" || r.End.String() != "accept" || r.Quarantine != "held" || r.Trips != 3 {
			t.Errorf("from %q over %q: %+v", from, tls, r)
		}
		if diff := cmp.Diff([]string{"X-Ours: forged", "x-ours: again"}, headers); diff != "" {
			t.Error(diff)
		}
		want := []mtatest.Edit{{Op: mtatest.Delete, Index: 2, Name: "X-Ours"}, {Op: mtatest.Insert, Name: "X-Ours", Value: "ours"}}
		if diff := cmp.Diff(want, r.Edits); diff != "" {
			t.Error(diff)
		}
	}
	s.Close()
	until(t, "the end of the session", func() bool { return d.Stats().Open == 0 })
	if diff := cmp.Diff(Stats{DeskStats: DeskStats{GateStats: GateStats{Accepted: 1}}}, d.Stats()); diff != "" {
		t.Error(diff)
	}
	if logged := d.log.all(); len(logged) != 0 {
		t.Errorf("logged %q", logged)
	}
}

// go-milter can't take SMFIC_UNKNOWN, so nobody may send it.
// A reply with a text arrives as it was written, and the session goes on.
func TestRepliesWithText(t *testing.T) {
	f := goOn()
	f.rcpt = func(string) milter.Response { return milter.NewResponseStr('y', "451 4.7.1 TLS required") }
	s := start(t, f, nil).dial(t)
	defer s.Close()
	r, err := s.Message(mail())
	if err != nil || len(r.Rcpts) != 1 || r.Rcpts[0].String() != "y451 4.7.1 TLS required" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestUnknownCommandsAreNotAskedFor(t *testing.T) {
	d := start(t, filter{}, func(c *Config) { c.Protocol = 0 })
	s := d.dial(t)
	defer s.Close()
	if s.Protocol() != uint32(milter.OptNoUnknown) {
		t.Errorf("protocol %#x", s.Protocol())
	}
}

func TestSeveralListeners(t *testing.T) {
	server, err := New(newConfig(filter{}, &lines{}))
	if err != nil {
		t.Fatal(err)
	}
	var all []net.Listener
	for _, spec := range []Spec{{NetworkUnix, filepath.Join(t.TempDir(), "m")}, {NetworkTCP4, "127.0.0.1:0"}} {
		lns, err := Listen(spec, ListenOptions{Mode: 0o666, Group: -1})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, lns...)
	}
	served := make(chan error)
	go func() { served <- server.Serve(all...) }()
	for _, ln := range all {
		s, err := mtatest.Dial(context.Background(), ln.Addr().Network(), ln.Addr().String(), mtatest.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := s.Message(mail()); err != nil || r.End.String() != "accept" {
			t.Errorf("%s: %+v %v", ln.Addr(), r, err)
		}
		s.Close()
	}
	if err := server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	for _, ln := range all {
		if c, err := net.Dial(ln.Addr().Network(), ln.Addr().String()); err == nil {
			c.Close()
			t.Errorf("%s still answers", ln.Addr())
		}
	}
	ln := newPipes()
	if err := server.Serve(ln); err != nil {
		t.Errorf("Serve after Shutdown: %v", err)
	}
	if _, err := ln.Accept(); err == nil {
		t.Error("Serve after Shutdown left the listener open")
	}
}

// Bad clients trouble nobody else, each costs one clean line, and the next
// good one is served.
func TestHostileClients(t *testing.T) {
	d := start(t, filter{}, nil)
	for name, bytes := range map[string][]byte{
		"http":       []byte("POST /v1 HTTP/1.1\r\nHost: x\r\n\r\n{}"),
		"tls":        []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
		"huge":       join(optNeg(), []byte("\x40\x00\x00\x00Bxxxx")),
		"empty":      join(optNeg(), make([]byte, 4)),
		"unknown":    join(optNeg(), frame(0x1b, "[2J")),
		"no macros":  join(optNeg(), frame('D', "")),
		"short conn": join(optNeg(), frame('C', "h\x00")),
	} {
		before := len(d.log.all())
		c := d.raw(t)
		c.Write(bytes)
		if rest, err := io.ReadAll(c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: not closed: %q %v", name, rest, err)
		}
		c.Close()
		until(t, name+": closed", func() bool { return d.Stats().Open == 0 })
		if logged := d.log.all()[before:]; len(logged) > 1 {
			t.Errorf("%s: logged %q", name, logged)
		}
		d.healthy(t)
		until(t, name+": healthy client gone", func() bool { return d.Stats().Open == 0 })
	}
	half := d.raw(t)
	half.Write(join(optNeg(), frame('M', "<a@b>\x00")[:8]))
	silent := d.raw(t)
	d.healthy(t)
	half.Close()
	silent.Close()
	until(t, "half a packet counted", func() bool { return d.Stats().Broken == 1 })
	if st := d.Stats(); st.NotMilter != 2 || st.BadFrame != 2 || st.FrameTooBig != 1 {
		t.Errorf("stats %+v", st)
	}
}

// Over the limit the answer is an end, at once, and one line reports all.
func TestConnectionLimit(t *testing.T) {
	d := start(t, filter{}, func(c *Config) { c.Limits.Connections = 8 })
	var held []*mtatest.Session
	for range 8 {
		held = append(held, d.dial(t))
	}
	for range 1000 {
		c := d.raw(t)
		if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read %d, %v", n, err)
		}
		c.Close()
	}
	for _, s := range held {
		if r, err := s.Message(mail()); err != nil || r.End.String() != "accept" {
			t.Errorf("held session: %+v %v", r, err)
		}
		s.Close()
	}
	until(t, "room", func() bool { return d.Stats().Open == 0 })
	d.healthy(t)
	if st := d.Stats(); st.OverLimit != 1000 || st.Accepted != 9 {
		t.Errorf("stats %+v", st)
	}
	if logged := d.log.all(); len(logged) != 1 || !strings.Contains(logged[0], "too many are open") || !strings.Contains(logged[0], "limit=8") {
		t.Errorf("logged %q", logged)
	}
}

// A panic in a callback closes that connection and becomes one line.
func TestPanics(t *testing.T) {
	std := &lines{}
	log.SetFlags(0)
	log.SetOutput(LogWriter(std.logger()))
	defer func() { log.SetFlags(log.LstdFlags); log.SetOutput(os.Stderr) }()
	f := filter{mail: func(from string, _ *milter.Modifier) milter.Response {
		if from == "boom@sender.example" {
			panic("boom\nand more\x1b[2J")
		}
		return milter.RespAccept
	}}
	d := start(t, f, nil)
	s := d.dial(t)
	m := mail()
	m.From = "boom@sender.example"
	if r, err := s.Message(m); err == nil {
		t.Errorf("a reply: %+v", r)
	}
	s.Close()
	d.healthy(t)
	until(t, "the log line", func() bool { return len(std.all()) > 0 })
	if logged := std.all(); len(logged) != 1 || !strings.Contains(logged[0], "boom and more?[2J goroutine") {
		t.Errorf("logged %q", logged)
	}
}

// A backend that can't be made lets everything pass.
func TestBackendPanics(t *testing.T) {
	for _, silent := range []milter.OptProtocol{0, milter.OptNoHeaderReply | milter.OptNoMailReply | milter.OptNoConnReply |
		milter.OptNoHeloReply | milter.OptNoRcptReply | milter.OptNoEOHReply | milter.OptNoBodyReply} {
		d := start(t, filter{}, func(c *Config) {
			c.Protocol = silent
			c.Backend = func() milter.Milter { panic("no backend") }
		})
		s, err := mtatest.Dial(context.Background(), "unix", d.addr, mtatest.Options{Helo: "mx.sender.example"})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := s.Message(mail()); err != nil || r.End.String() != "accept" {
			t.Errorf("%#x: %+v %v", silent, r, err)
		}
		s.Ehlo("again.sender.example")
		s.Close()
		if logged := d.log.all(); d.Stats().BackendPanics == 0 || !strings.Contains(logged[0], "no backend") {
			t.Errorf("%+v %q", d.Stats(), logged)
		}
	}
}

func TestAcceptAllIsQuietWhereAgreed(t *testing.T) {
	for protocol, want := range map[milter.OptProtocol]milter.Response{0: milter.RespAccept, ^milter.OptProtocol(0): nil} {
		a := acceptAll{protocol: protocol}
		for name, call := range map[string]func() (milter.Response, error){
			"connect": func() (milter.Response, error) { return a.Connect("", "", 0, nil, nil) },
			"helo":    func() (milter.Response, error) { return a.Helo("", nil) },
			"mail":    func() (milter.Response, error) { return a.MailFrom("", nil) },
			"rcpt":    func() (milter.Response, error) { return a.RcptTo("", nil) },
			"header":  func() (milter.Response, error) { return a.Header("", "", nil) },
			"eoh":     func() (milter.Response, error) { return a.Headers(nil, nil) },
			"body":    func() (milter.Response, error) { return a.BodyChunk(nil, nil) },
		} {
			if got, err := call(); got != want || err != nil {
				t.Errorf("%s %#x: %v %v", name, protocol, got, err)
			}
		}
		if got, err := a.Body(nil); got != milter.RespAccept || err != nil || a.Abort(nil) != nil {
			t.Errorf("end of message: %v %v", got, err)
		}
	}
}

// inBubble runs a server on connections of memory and a clock of its own.
func inBubble(t *testing.T, f filter, play func(s *Server, ln *pipes, log *lines)) {
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		s, err := New(newConfig(f, log))
		if err != nil {
			t.Fatal(err)
		}
		ln := newPipes()
		served := make(chan error, 1)
		go func() { served <- s.Serve(ln) }()
		play(s, ln, log)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// say writes and reads one reply, if one is due.
func say(t *testing.T, c net.Conn, reply bool, p []byte) []byte {
	t.Helper()
	if _, err := c.Write(p); err != nil {
		t.Fatal(err)
	}
	if !reply {
		return nil
	}
	var head [lengthSize]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, frameLength(head[:]))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	return got
}

// closedAfter returns how long the server lets a client wait.
func closedAfter(c net.Conn) time.Duration {
	began := time.Now()
	io.Copy(io.Discard, c)
	c.Close()
	return time.Since(began)
}

func TestDeadlines(t *testing.T) {
	idle := DefaultLimits().Idle
	for _, test := range []struct {
		name     string
		say      func(t *testing.T, c net.Conn)
		min, max time.Duration
	}{
		{"silence", func(*testing.T, net.Conn) {}, 10 * time.Second, 10 * time.Second},
		{"half a negotiation", func(t *testing.T, c net.Conn) { say(t, c, false, optNeg()[:9]) }, 10 * time.Second, 10 * time.Second},
		{"half a packet", func(t *testing.T, c net.Conn) {
			say(t, c, true, optNeg())
			say(t, c, false, frame('M', "<a@b>\x00")[:7])
		}, 10 * time.Second, 10 * time.Second},
		{"dripping", func(t *testing.T, c net.Conn) {
			say(t, c, true, optNeg())
			for _, b := range frame('M', "<a@b>\x00")[:9] {
				say(t, c, false, []byte{b})
				time.Sleep(time.Second)
			}
		}, time.Second, time.Second},
		{"idle", func(t *testing.T, c net.Conn) {
			say(t, c, true, optNeg())
			say(t, c, true, frame('M', "<a@b>\x00"))
		}, idle, idle + idle/4},
		{"idle after much", func(t *testing.T, c net.Conn) {
			say(t, c, true, optNeg())
			for range 50 {
				time.Sleep(idle / 10)
				say(t, c, true, frame('M', "<a@b>\x00"))
			}
		}, idle, idle + idle/4},
		{"half a packet after much", func(t *testing.T, c net.Conn) {
			say(t, c, true, optNeg())
			for range 5 { // each packet in two parts, 40 s in all
				half := frame('M', "<a@b>\x00")
				say(t, c, false, half[:5])
				time.Sleep(8 * time.Second)
				say(t, c, true, half[5:])
			}
			say(t, c, false, frame('A', "")[:2])
		}, 10 * time.Second, 10 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, filter{}, func(s *Server, ln *pipes, log *lines) {
				c := ln.dial()
				test.say(t, c)
				if got := closedAfter(c); got < test.min || got > test.max {
					t.Errorf("closed after %v, want %v to %v", got, test.min, test.max)
				}
				synctest.Wait()
				if logged := log.all(); s.Stats().Timeouts != 1 || len(logged) != 1 || !strings.Contains(logged[0], "timeout") {
					t.Errorf("%+v %q", s.Stats(), logged)
				}
			})
		})
	}
}

// A client that doesn't read its replies holds nobody for long.
func TestWriteDeadline(t *testing.T) {
	inBubble(t, filter{}, func(s *Server, ln *pipes, log *lines) {
		c := ln.dial()
		say(t, c, true, optNeg())
		say(t, c, false, frame('M', "<a@b>\x00"))
		time.Sleep(13 * time.Second)
		synctest.Wait()
		if st := s.Stats(); st.Timeouts != 1 || st.Open != 0 {
			t.Errorf("%+v", st)
		}
		c.Close()
	})
}

func TestAcceptRecovers(t *testing.T) {
	inBubble(t, filter{}, func(s *Server, ln *pipes, log *lines) {
		for range 10 {
			ln.in <- &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
		}
		ln.in <- os.NewSyscallError("accept4", syscall.ECONNABORTED)
		began := time.Now()
		c := ln.dial()
		say(t, c, true, optNeg())
		c.Close()
		// 5, 10 … 640 ms, then a second each.
		if waited := time.Since(began); waited != 1275*time.Millisecond+3*time.Second {
			t.Errorf("waited %v", waited)
		}
		if logged := log.all(); s.Stats().AcceptErrors != 11 || len(logged) != 1 || !strings.Contains(logged[0], "too many open files") {
			t.Errorf("%+v %q", s.Stats(), logged)
		}
	})
}

// Shutdown doesn't wait for the end of a back-off.
func TestShutdownDuringBackOff(t *testing.T) {
	inBubble(t, filter{}, func(s *Server, ln *pipes, _ *lines) {
		for range 20 {
			ln.in <- syscall.ENFILE
		}
		time.Sleep(1500 * time.Millisecond)
		began := time.Now()
		if err := s.Shutdown(context.Background()); err != nil || time.Since(began) != 0 {
			t.Errorf("took %v: %v", time.Since(began), err)
		}
	})
}

// A listener that is broken for good ends Serve with an error, and the other
// with it; its sessions can still be drained.
func TestListenerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(newConfig(goOn(), &lines{}))
		if err != nil {
			t.Fatal(err)
		}
		bad, good := newPipes(), newPipes()
		served := make(chan error)
		go func() { served <- s.Serve(bad, good) }()
		c := good.dial()
		say(t, c, true, optNeg())
		say(t, c, true, frame('M', "<a@b>\x00"))
		bad.in <- syscall.EINVAL
		if err := <-served; !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), "/test") {
			t.Errorf("Serve: %v", err)
		}
		if got := say(t, c, true, frame('E', "")); string(got) != "a" {
			t.Errorf("reply %q", got)
		}
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		c.Close()
	})
}

// TestFailedListenerIsNamed: it need not be the first of several.
func TestFailedListenerIsNamed(t *testing.T) {
	var all []net.Listener
	for _, name := range []string{"a.sock", "b.sock"} {
		ln, err := net.Listen("unix", filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ln)
	}
	all[1].Close()
	err := NewGate("test", 1, slog.New(slog.DiscardHandler)).Serve(func(net.Conn) {}, all...)
	if err == nil || !strings.HasPrefix(err.Error(), "accept on "+all[1].Addr().String()+": ") {
		t.Errorf("%v: want b.sock named", err)
	}
}

// A drain closes the idle at once, and lets a message come to its end.
func TestShutdownDrains(t *testing.T) {
	inBubble(t, goOn(), func(s *Server, ln *pipes, log *lines) {
		fresh, idle, busy := ln.dial(), ln.dial(), ln.dial()
		say(t, idle, true, optNeg())
		say(t, busy, true, optNeg())
		for _, c := range []net.Conn{idle, busy} {
			say(t, c, true, frame('M', "<a@b>\x00"))
			say(t, c, true, frame('R', "<c@d>\x00"))
		}
		say(t, idle, true, frame('E', ""))
		say(t, idle, false, frame('A', ""))
		synctest.Wait()

		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.Shutdown(context.Background()); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
		if d := closedAfter(fresh) + closedAfter(idle); d != 0 {
			t.Errorf("the idle waited %v", d)
		}
		time.Sleep(time.Minute)
		if got := say(t, busy, true, frame('R', "<e@f>\x00")); string(got) != "c" {
			t.Errorf("recipient: %q", got)
		}
		if got := say(t, busy, true, frame('E', "")); string(got) != "a" {
			t.Errorf("end of message: %q", got)
		}
		if d := closedAfter(busy); d != 0 {
			t.Errorf("closed %v after its message", d)
		}
		wg.Wait()
		if logged := log.all(); len(logged) != 0 || s.Stats() != (Stats{DeskStats: DeskStats{GateStats: GateStats{Accepted: 3}}}) {
			t.Errorf("%+v %q", s.Stats(), logged)
		}
	})
}

// What doesn't come to its end is cut when the time is over, and says so.
func TestShutdownCuts(t *testing.T) {
	inBubble(t, goOn(), func(s *Server, ln *pipes, log *lines) {
		busy := ln.dial()
		say(t, busy, true, optNeg())
		say(t, busy, true, frame('M', "<a@b>\x00"))
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		began := time.Now()
		err := s.Shutdown(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "1 milter connections cut") {
			t.Errorf("Shutdown: %v", err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
		if logged := log.all(); len(logged) != 0 {
			t.Errorf("logged %q", logged)
		}
		busy.Close()
	})
}

// A callback that hangs is left behind, with its connection closed.
func TestShutdownLeavesHungCallbacks(t *testing.T) {
	entered, free := make(chan struct{}), make(chan struct{})
	f := filter{mail: func(string, *milter.Modifier) milter.Response {
		close(entered)
		<-free
		return milter.RespAccept
	}}
	d := start(t, f, nil)
	s := d.dial(t)
	s.Send('M', []byte("<a@b>\x00"))
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if _, _, err := s.Recv(); err == nil {
		t.Error("the connection is still open")
	}
	close(free)
	until(t, "the end of the session", func() bool { return d.Stats().Open == 0 })
	s.Close()
}

// Under load, no message that was begun loses a reply to a shutdown, but for
// MAIL itself, whose loss costs nothing.
func TestShutdownLosesNoReply(t *testing.T) {
	d := start(t, goOn(), nil)
	var wg sync.WaitGroup
	for range 8 {
		s := d.dial(t)
		wg.Go(func() {
			for {
				m := mail()
				r, err := s.Message(m)
				if err == nil {
					continue
				}
				if len(r.Replies) > 0 {
					t.Errorf("lost after %+v: %v", r.Replies, err)
				}
				s.Conn().Close()
				return
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := d.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

// FuzzServer sends anything as packets through the real listener; the server
// serves the next good client.
func FuzzServer(f *testing.F) {
	log.SetOutput(io.Discard)
	f.Cleanup(func() { log.SetOutput(os.Stderr) })
	f.Add([]byte("M<a@b>\x00"), []byte("R<c@d>\x00"), []byte("E"), true)
	f.Add([]byte("Chost\x004\x00"), []byte("D"), []byte("DM\x00\x00\x00"), true)
	f.Add([]byte("LX-Ours\x00a\x00b\x00"), []byte("L"), []byte("N"), true)
	f.Add([]byte("GET / HTTP/1.1\r\n"), []byte(""), []byte("\x00"), false)
	d := start(f, goOn(), func(c *Config) { c.Protocol = milter.OptNoHeaderReply; c.KeepHeader = ours })
	f.Fuzz(func(t *testing.T, a, b, c []byte, framed bool) {
		out := bytes.Clone(a)
		if framed {
			out = optNeg()
			for _, p := range [][]byte{a, b, c} {
				if len(p) > 0 {
					out = append(out, frame(p[0], string(p[1:]))...)
				}
			}
		}
		conn := d.raw(t)
		conn.Write(out)
		conn.(*net.UnixConn).CloseWrite()
		io.Copy(io.Discard, conn)
		conn.Close()
		d.healthy(t)
	})
}
