package soak

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tlsratchet/test/mtatest"
)

// claim begins a packet of the milter protocol that claims this length.
func claim(length uint32, cmd byte, data string) []byte {
	b := binary.BigEndian.AppendUint32(nil, length)
	return append(append(b, cmd), data...)
}

func packet(cmd byte, data string) []byte { return claim(uint32(1+len(data)), cmd, data) }

// negotiation is Postfix's first packet; mail is the beginning of a message.
var (
	negotiation = packet('O', "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff")
	mail        = slices.Concat(negotiation, packet('D', "M{client_addr}\x00192.0.2.10\x00"), packet('M', "<alice@bank.example>\x00"))
)

// halves stop in the middle of a packet: of the negotiation, of a length, of
// macros, of a sender, and of a large piece of a body.
var halves = [][]byte{
	negotiation[:9],
	append(bytes.Clone(negotiation), 0, 0),
	slices.Concat(negotiation, claim(200, 'D', "M{client_addr}\x00192.0")),
	mail[:len(mail)-9],
	slices.Concat(mail, claim(60_000, 'B', "hello")),
}

// claims are of packets that nobody would send: most are refused at once, the
// last is the largest that is believed, and is waited for.
var claims = [][]byte{
	slices.Concat(negotiation, claim(1<<32-1, 'B', "hello")),
	slices.Concat(mail, claim(1<<30, 'L', "Subject\x00hello")),
	slices.Concat(negotiation, claim(64<<10+1, 'M', "<alice@bank.exa")),
	slices.Concat(negotiation, claim(64<<10, 'D', "M{client_addr}\x00")),
}

// stalled are connections whose client fell silent.
type stalled struct {
	all  sync.WaitGroup
	mu   sync.Mutex
	held []time.Duration // how long the daemon left each open after that
}

// stall opens n connections, some 2,000 a second, that say one of some things
// each, and wait for the daemon to close them.
func stall(t *testing.T, socket string, n int, say [][]byte) *stalled {
	t.Helper()
	s := &stalled{}
	for i := range n {
		if i%20 == 19 {
			time.Sleep(10 * time.Millisecond)
		}
		c, err := dial(socket)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		if _, err := c.Write(say[i%len(say)]); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		since := time.Now()
		s.all.Go(func() {
			defer func() { _ = c.Close() }()
			_, _ = io.Copy(io.Discard, c)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.held = append(s.held, time.Since(since))
		})
	}
	return s
}

// dial connects.
func dial(socket string) (net.Conn, error) {
	return patiently(func() (net.Conn, error) { return net.Dial("unix", socket) })
}

// patiently connects again where a client that blocks would wait for room in
// the listener's queue.
func patiently[C any](connect func() (C, error)) (c C, err error) {
	for end := time.Now().Add(readTimeout); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if c, err = connect(); !errors.Is(err, syscall.EAGAIN) {
			break
		}
	}
	return c, err
}

// gone waits until the daemon has closed all, and returns the shortest and the
// longest time that it took.
func (s *stalled) gone() (least, most time.Duration) {
	s.all.Wait()
	return slices.Min(s.held), slices.Max(s.held)
}

// pulse is a healthy client's: a message each millisecond on the connection
// that it has, and now and then one on a new connection.
type pulse struct {
	t            *testing.T
	socket       string
	kept         *mtatest.Session
	waits, fresh []time.Duration
	quit         chan struct{}
	done         sync.WaitGroup
}

// letter is of a pinned peer over TLS, which is answered at MAIL.
var letter = mtatest.Message{From: "alice@bank.example", Rcpts: []string{"bob@ours.example"}, Body: []byte("hello\r\n")}

func macros(addr string) map[string]string {
	return map[string]string{
		"{client_addr}": addr, "{client_name}": "unknown", "{client_ptr}": "unknown", "{client_resolve}": "FAIL",
		"{tls_version}": "TLSv1.3", "{cipher}": "TLS_AES_256_GCM_SHA384", "{cipher_bits}": "256",
		"{daemon_addr}": "192.0.2.200", "{daemon_port}": "25",
	}
}

// healthy begins a session of a pinned peer.
func healthy(socket string) (*mtatest.Session, error) {
	return patiently(func() (*mtatest.Session, error) {
		return mtatest.Dial(context.Background(), "unix", socket, mtatest.Options{Macros: macros(peer(0).Name), Timeout: readTimeout})
	})
}

// send has one message judged.
func send(s *mtatest.Session) error {
	switch r, err := s.Message(letter); {
	case err != nil:
		return err
	case r.End.Code != 'a':
		return fmt.Errorf("answered %s", r.End)
	}
	return nil
}

func startPulse(t *testing.T, socket string) *pulse {
	t.Helper()
	kept, err := healthy(socket)
	if err == nil {
		err = send(kept)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &pulse{t: t, socket: socket, kept: kept, quit: make(chan struct{})}
	p.done.Go(p.beat)
	return p
}

func (p *pulse) beat() {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-p.quit:
			return
		case <-tick.C:
		}
		began := time.Now()
		err := send(p.kept)
		p.waits = append(p.waits, time.Since(began))
		if err == nil && i%10 == 0 {
			began = time.Now()
			err = p.once()
			p.fresh = append(p.fresh, time.Since(began))
		}
		if err != nil {
			p.t.Errorf("the healthy client: %v", err)
			return
		}
	}
}

// once is a message on a connection of its own.
func (p *pulse) once() error {
	s, err := healthy(p.socket)
	if err != nil {
		return err
	}
	return errors.Join(send(s), s.Close())
}

// stop ends it and returns the 99th percentiles of what its messages waited, on
// its own connection and with a new one.
func (p *pulse) stop() (kept, fresh time.Duration) {
	close(p.quit)
	p.done.Wait()
	if err := p.kept.Close(); err != nil {
		p.t.Errorf("the healthy client: %v", err)
	}
	return percentile(p.waits, 99), percentile(p.fresh, 99)
}

func percentile(of []time.Duration, n int) time.Duration {
	slices.Sort(of)
	if len(of) == 0 {
		return 0
	}
	return of[(len(of)-1)*n/100]
}

// alone has the long form, which measures, run alone.
func alone(t *testing.T) {
	if !*long {
		t.Parallel()
	}
}

// descriptors raises what this process and the daemon may have open, for n connections:
// the daemon has two for each.
func descriptors(t *testing.T, n int) {
	t.Helper()
	var now syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now)
	want := uint64(2*n + 1000)
	if err == nil && now.Cur < want {
		err = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: want, Max: max(want, now.Max)})
	}
	if err != nil {
		t.Fatalf("%d descriptors: %v", want, err)
	}
}

// TestConnectionsThatStop in the middle of a packet are gone soon, take little
// memory, and trouble no healthy client.
func TestConnectionsThatStop(t *testing.T) {
	alone(t)
	n := scale(500, 9000)
	descriptors(t, n)
	d := serve(t, remembered(t, 1), fmt.Sprintf("spf = \"off\"\n[limits]\nconnections = %d\n", n+100), 0)
	before := d.holding()
	base := d.peak.mib()
	p := startPulse(t, d.socket)
	began := time.Now()
	s := stall(t, d.socket, n, halves)
	opened := time.Since(began)
	least, most := s.gone()
	kept, fresh := p.stop()
	t.Logf("%d connections, opened in %s, were gone after %s to %s; RssAnon %.0f MiB before and %.0f MiB at most; "+
		"a healthy client waited (p99) %s of %d messages, %s of %d with a connection of their own", n,
		opened.Round(time.Millisecond), least.Round(time.Millisecond), most.Round(time.Millisecond), base, d.peak.mib(),
		kept.Round(time.Microsecond), len(p.waits), fresh.Round(time.Microsecond), len(p.fresh))
	if got := d.metric(`tlsratchet_connections_closed_total{reason="timeout"}`); got != float64(n) {
		t.Errorf("%v were closed for their silence, want %d", got, n)
	}
	if got, want := d.peak.mib(), 20+float64(n)*20/1024; got > want { // wire.DefaultLimits
		t.Errorf("%.0f MiB of RssAnon, want at most %.0f", got, want)
	}
	d.clean(before)
}

// TestHugeClaims: what a packet claims to be takes no memory.
func TestHugeClaims(t *testing.T) {
	alone(t)
	n := scale(400, 1000)
	descriptors(t, n)
	d := serve(t, remembered(t, 1), "spf = \"off\"\n", 0)
	before := d.holding()
	p := startPulse(t, d.socket)
	polite(t, d.socket, n)
	base := d.peak.mib()
	s := stall(t, d.socket, n, claims)
	least, most := s.gone()
	kept, _ := p.stop()
	t.Logf("%d connections were gone after %s to %s; RssAnon %.0f MiB with as many that claim nothing, and %.0f MiB at most; a healthy client waited (p99) %s",
		n, least.Round(time.Millisecond), most.Round(time.Millisecond), base, d.peak.mib(), kept.Round(time.Microsecond))
	refused, late := d.metric(`tlsratchet_connections_closed_total{reason="frame_too_big"}`), d.metric(`tlsratchet_connections_closed_total{reason="timeout"}`)
	if refused != float64(n-n/4) || late != float64(n/4) {
		t.Errorf("%v were refused and %v timed out, want all but a quarter, and that", refused, late)
	}
	if grown := d.peak.mib() - base; grown > 8 {
		t.Errorf("RssAnon grew by %.0f MiB, want at most 8", grown)
	}
	d.clean(before)
}

// polite has n connections at once, with so many messages that the garbage is
// as much as it becomes.
func polite(t *testing.T, socket string, n int) {
	t.Helper()
	var all []*mtatest.Session
	for range n {
		s, err := healthy(socket)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	for range 40 {
		for _, s := range all {
			if err := send(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, s := range all {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOutOfDescriptors: for a while there are none. Whoever is connected goes
// on, and all is well by itself when others are gone.
func TestOutOfDescriptors(t *testing.T) {
	alone(t)
	d := serve(t, remembered(t, 1), "spf = \"off\"\n", 96)
	before := d.holding()
	p := startPulse(t, d.socket)
	close(p.quit) // its connection is all that is wanted
	p.done.Wait()
	s := stall(t, d.socket, 140, halves)
	d.until("it logs", func() bool { return d.log.count("too many open files") > 0 })
	for range 100 {
		if err := send(p.kept); err != nil {
			t.Fatalf("who was there before: %v", err)
		}
	}
	began := time.Now()
	if err := p.once(); err != nil {
		t.Errorf("who comes meanwhile: %v", err)
	}
	waited := time.Since(began)
	_, most := s.gone()
	if err := errors.Join(p.once(), p.kept.Close()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	t.Logf("a new client waited %s, the last connection that stopped was gone after %s; accept failed %v times",
		waited.Round(time.Millisecond), most.Round(time.Millisecond), d.metric(`tlsratchet_errors_total{kind="accept"}`))
	if n := d.log.count("level=ERROR"); n < 1 || n > 3 || n != d.log.count("too many open files") {
		t.Errorf("%d errors logged, want one a minute about descriptors:\n%s", n, d.log.text())
	}
	if strings.Contains(d.log.text(), "panic") {
		t.Error("a panic")
	}
	d.clean(before)
}
