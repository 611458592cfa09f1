package wire

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/emersion/go-milter"

	"tlsratchet/test/mtatest"
)

// loop is a client that says the same message for ever, and a network without
// cost.
type loop struct {
	tape
	all  []byte
	left int // packets still to come
}

func (l *loop) Read(p []byte) (int, error) {
	if l.left--; l.left < 0 {
		return 0, io.EOF
	}
	return copy(p, l.all), nil
}

func (l *loop) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkConn is what the wrapper costs a message of a steady session, on
// top of its system calls: three packets in, one reply out.
func BenchmarkConn(b *testing.B) {
	c, tp, _ := onTape(b)
	c.greeted = true
	c.raw = &loop{
		tape: *tp, left: math.MaxInt,
		all: join(frame('A', ""), frame('D', "M{tls_version}\x00TLSv1.3\x00{client_addr}\x00192.0.2.1\x00"), frame('M', "<a@b.example>\x00")),
	}
	var head [lengthSize]byte
	rest := make([]byte, 4096)
	reply := frame('a', "")
	b.ReportAllocs()
	for b.Loop() {
		for range 3 {
			io.ReadFull(c, head[:])
			io.ReadFull(c, rest[:binary.BigEndian.Uint32(head[:])])
		}
		c.Write(reply)
	}
}

// BenchmarkDroppedHeaders is what a header costs that go-milter needn't see.
func BenchmarkDroppedHeaders(b *testing.B) {
	c, tp, _ := onTape(b)
	c.greeted = true
	var all []byte
	for range 50 {
		all = append(all, frame('L', "Received\x00from mx.sender.example by mx.here.example with ESMTPS\x00")...)
	}
	c.raw = &loop{tape: *tp, all: append(all, frame('N', "")...), left: math.MaxInt}
	rest := make([]byte, 16)
	b.ReportAllocs()
	for b.Loop() {
		io.ReadFull(c, rest[:headSize])
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/50, "ns/header")
}

// BenchmarkDeadline is why deadlines are set seldom.
func BenchmarkDeadline(b *testing.B) {
	ln, err := net.Listen("unix", filepath.Join(b.TempDir(), "m"))
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	b.Run("each", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.SetReadDeadline(time.Now().Add(time.Hour))
		}
	})
	b.Run("seldom", func(b *testing.B) {
		log := &lines{}
		s := New(newConfig(filter{}, log))
		w := s.newConn(c)
		w.waiting, w.until = true, time.Now()
		b.ReportAllocs()
		for b.Loop() {
			w.arm(time.Now())
		}
	})
}

// BenchmarkSession is a do-nothing milter on a unix socket that accepts at
// MAIL, with go-milter bare and behind this package: messages of one session,
// and sessions of one message.
func BenchmarkSession(b *testing.B) {
	for name, serve := range map[string]func(testing.TB, net.Listener) func(){"wire": serveWire, "bare": serveBare} {
		for _, length := range []int{1, 200} {
			b.Run(map[int]string{1: "one/", 200: "many/"}[length]+name, func(b *testing.B) {
				ln, err := net.Listen("unix", filepath.Join(b.TempDir(), "m"))
				if err != nil {
					b.Fatal(err)
				}
				defer serve(b, ln)()
				load(b, ln.Addr().String(), length)
			})
		}
	}
}

func serveWire(b testing.TB, ln net.Listener) func() {
	config := newConfig(filter{}, &lines{})
	config.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	s := New(config)
	served := make(chan error)
	go func() { served <- s.Serve(ln) }()
	return func() { s.Shutdown(context.Background()); <-served }
}

func serveBare(_ testing.TB, ln net.Listener) func() {
	config := newConfig(filter{}, &lines{})
	s := &milter.Server{NewMilter: config.Backend, Actions: config.Actions, Protocol: config.Protocol, SymList: config.SymList}
	served := make(chan error)
	go func() { served <- s.Serve(ln) }()
	return func() { ln.Close(); <-served }
}

// load sends b.N messages, length a session.
func load(b *testing.B, addr string, length int) {
	m := mail()
	var r mtatest.Result
	b.ReportAllocs()
	b.ResetTimer()
	for sent := 0; sent < b.N; {
		s, err := mtatest.Dial(context.Background(), "unix", addr, mtatest.Options{})
		if err != nil {
			b.Fatal(err)
		}
		for range min(length, b.N-sent) {
			if err := s.Run(&m, &r); err != nil {
				b.Fatal(err)
			}
			sent++
		}
		s.Close()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
