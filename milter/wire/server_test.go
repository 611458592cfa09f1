package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
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
	d := start(t, f, nil)
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
		if diff := cmp.Diff([]string{"X-Ours: ", "x-ours: "}, headers); diff != "" {
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

// go-milter can't take SMFIC_UNKNOWN, so nobody may send it.
func TestUnknownCommandsAreNotAskedFor(t *testing.T) {
	d := start(t, filter{}, func(c *Config) { c.Protocol = 0 })
	s := d.dial(t)
	defer s.Close()
	if s.Protocol() != uint32(milter.OptNoUnknown) {
		t.Errorf("protocol %#x", s.Protocol())
	}
}

func TestSeveralListeners(t *testing.T) {
	server := New(newConfig(filter{}, &lines{}))
	var all []net.Listener
	for _, spec := range []Spec{{NetworkUnix, filepath.Join(t.TempDir(), "m")}, {NetworkTCP, "127.0.0.1:0"}} {
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
	servesNoMore(t, server.Serve)
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

// TestBackendPanics: nobody waits for a backend that could not be made.
func TestBackendPanics(t *testing.T) {
	std := &lines{}
	log.SetOutput(LogWriter(std.logger()))
	defer log.SetOutput(os.Stderr)
	made := 0
	d := start(t, filter{}, func(c *Config) {
		c.Backend = func() milter.Milter {
			if made++; made == 2 { // in the session of the client before
				panic("boom")
			}
			return filter{}
		}
	})
	d.healthy(t)
	until(t, "idle", func() bool {
		d.idle.mu.Lock()
		defer d.idle.mu.Unlock()
		return len(d.idle.unused) == 1
	})
	c := d.raw(t)
	defer c.Close()
	if all, err := io.ReadAll(c); len(all) != 0 || err != nil {
		t.Errorf("%q, %v", all, err)
	}
	d.healthy(t)
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
	got := make([]byte, binary.BigEndian.Uint32(head[:]))
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
			inBubble(t, milterDoor(filter{}), func(d *door, ln *pipes) { d.closes(t, ln, test.say, test.min, test.max) })
		})
	}
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
	inBubble(t, milterDoor(goOn()), func(d *door, ln *pipes) {
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

		drained := d.drain(t, fresh, idle)
		time.Sleep(time.Minute)
		if got := say(t, busy, true, frame('R', "<e@f>\x00")); string(got) != "c" {
			t.Errorf("recipient: %q", got)
		}
		if got := say(t, busy, true, frame('E', "")); string(got) != "a" {
			t.Errorf("end of message: %q", got)
		}
		if took := closedAfter(busy); took != 0 {
			t.Errorf("closed %v after its message", took)
		}
		drained()
		if logged, st := d.log.all(), d.server.(*Server).Stats(); len(logged) != 0 || st != (Stats{DeskStats: DeskStats{GateStats: GateStats{Accepted: 3}}}) {
			t.Errorf("%+v %q", st, logged)
		}
	})
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

// What a client sends as copies of our header is not kept: neither for a message, nor
// for a session, of which go-milter would keep all.
func TestHeadersAreNotKept(t *testing.T) {
	d := start(t, goOn(), nil)
	c := d.raw(t)
	defer c.Close()
	request{optNeg(), d.negotiation}.ask(t, c)
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	copied := frame('L', "X-Ours\x00"+strings.Repeat("x", 60_000)+"\x00")
	for range 5 {
		c.Write(join(frame('A', ""), frame('D', "M{client_addr}\x00192.0.2.1\x00")))
		request{frame('M', "<a@b>\x00"), frame('c', "")}.ask(t, c)
		for range 50 {
			c.Write(copied)
		}
		request{frame('E', ""), frame('a', "")}.ask(t, c)
	}
	if grown := heap() - before; grown > 2<<20 {
		t.Errorf("the heap has grown by %d KiB", grown>>10)
	}
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
	d := start(f, goOn(), func(c *Config) { c.Protocol = milter.OptNoHeaderReply })
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
