package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// server is DNS on loopback: by UDP it sends each packet that udp returns, by
// TCP what tcp returns.
type server struct {
	addr     netip.AddrPort
	asked    atomic.Int64
	udp, tcp func(id uint16) [][]byte
}

func serve(t *testing.T, s *server) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = netip.MustParseAddrPort(listener.Addr().String())
	conn, err := net.ListenPacket("udp", s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{}, 2)
	go func() { defer func() { done <- struct{}{} }(); s.serveUDP(conn) }()
	go func() { defer func() { done <- struct{}{} }(); s.serveTCP(listener) }()
	t.Cleanup(func() {
		listener.Close()
		conn.Close()
		<-done
		<-done
	})
	return s
}

func (s *server) serveUDP(conn net.PacketConn) {
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		s.asked.Add(1)
		if n < 12 || s.udp == nil {
			continue
		}
		for _, packet := range s.udp(binary.BigEndian.Uint16(buf)) {
			conn.WriteTo(packet, from)
		}
	}
}

func (s *server) serveTCP(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		var head [4]byte
		if _, err := io.ReadFull(conn, head[:]); err == nil && s.tcp != nil {
			for _, msg := range s.tcp(binary.BigEndian.Uint16(head[2:])) {
				conn.Write(binary.BigEndian.AppendUint16(nil, uint16(len(msg))))
				conn.Write(msg)
			}
		}
		conn.Close()
	}
}

// good is the right answer.
func good(t *testing.T) func(id uint16) [][]byte {
	return func(id uint16) [][]byte {
		return [][]byte{reply{id: id, asked: "bank.example.", answers: []dnsmessage.Resource{txt(60, "v=spf1 -all")}}.pack(t, TypeTXT)}
	}
}

func rcode(t *testing.T, c dnsmessage.RCode) func(id uint16) [][]byte {
	return func(id uint16) [][]byte {
		return [][]byte{reply{id: id, asked: "bank.example.", rcode: c}.pack(t, TypeTXT)}
	}
}

func ask(t *testing.T, limit time.Duration, servers ...*server) (Answer, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var addrs []netip.AddrPort
	for _, s := range servers {
		addrs = append(addrs, s.addr)
	}
	a, _, err := exchange(ctx, question, addrs)
	return a, err
}

// long is more than any answer takes that comes.
const long = 20 * time.Second

func TestUDP(t *testing.T) {
	s := serve(t, &server{udp: good(t)})
	a, _, err := Network(s.addr)(t.Context(), question)
	if err != nil || len(a.Texts) != 1 {
		t.Fatalf("%v, %v", a, err)
	}
}

// TestStrangers: packets that answer something else, or nothing, are passed
// over.
func TestStrangers(t *testing.T) {
	right := good(t)
	s := serve(t, &server{udp: func(id uint16) [][]byte {
		wrong := reply{id: id, asked: "evil.example.", answers: []dnsmessage.Resource{txt(60, "v=spf1 +all")}}
		other := reply{id: id + 1, asked: "bank.example.", answers: wrong.answers}
		return append([][]byte{{}, {1}, wrong.pack(t, TypeTXT), other.pack(t, TypeTXT)}, right(id)...)
	}})
	a, err := ask(t, long, s)
	if err != nil || a.Texts[0] != "v=spf1 -all" || s.asked.Load() != 1 {
		t.Fatalf("%v, %v, asked %d times", a, err, s.asked.Load())
	}
}

// TestTCP: what doesn't fit comes by TCP, up to the 64 KB that a message can
// have.
func TestTCP(t *testing.T) {
	truncated := func(id uint16) [][]byte {
		return [][]byte{reply{id: id, asked: "bank.example.", truncated: true}.pack(t, TypeTXT)}
	}
	full := func(first string) func(id uint16) [][]byte {
		return func(id uint16) [][]byte {
			parts := slices.Repeat([]string{strings.Repeat("x", 255)}, 255)
			parts[0] = first
			r := reply{id: id, asked: "bank.example.", answers: []dnsmessage.Resource{txt(60, parts...), txt(60, "v=spf1 -all")}}
			return [][]byte{r.pack(t, TypeTXT)}
		}
	}
	t.Run("64 KB beside SPF", func(t *testing.T) {
		a, err := ask(t, long, serve(t, &server{udp: truncated, tcp: full("verification=")}))
		if err != nil || len(a.Texts) != 1 || a.Texts[0] != "v=spf1 -all" {
			t.Fatalf("%v, %v", a, err)
		}
	})
	t.Run("64 KB of SPF", func(t *testing.T) {
		if _, err := ask(t, long, serve(t, &server{udp: truncated, tcp: full("v=spf1 ")})); !errors.Is(err, ErrFailed) {
			t.Fatal(err)
		}
	})
	t.Run("cut off", func(t *testing.T) {
		cut := func(id uint16) [][]byte { return [][]byte{full("")(id)[0][:1000]} }
		if _, err := ask(t, long, serve(t, &server{udp: truncated, tcp: cut})); !errors.Is(err, ErrFailed) {
			t.Fatal(err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		if _, err := ask(t, long, serve(t, &server{udp: truncated})); !errors.Is(err, ErrFailed) {
			t.Fatal(err)
		}
	})
	t.Run("truncated again", func(t *testing.T) {
		if _, err := ask(t, long, serve(t, &server{udp: truncated, tcp: truncated})); !errors.Is(err, ErrFailed) {
			t.Fatal(err)
		}
	})
}

// TestServers: the next one is asked when one fails, not when it says that there
// is nothing.
func TestServers(t *testing.T) {
	failing := serve(t, &server{udp: rcode(t, dnsmessage.RCodeServerFailure)})
	silent := serve(t, &server{})
	knowing := serve(t, &server{udp: good(t)})
	if a, err := ask(t, 2*time.Second, failing, silent, knowing); err != nil || len(a.Texts) != 1 {
		t.Errorf("%v, %v", a, err)
	}
	nothing := serve(t, &server{udp: rcode(t, dnsmessage.RCodeNameError)})
	if _, err := ask(t, long, nothing, knowing); !errors.Is(err, ErrNotFound) {
		t.Errorf("error %v", err)
	}
	if _, err := ask(t, long, failing); !errors.Is(err, ErrFailed) {
		t.Errorf("error %v", err)
	}
	before := silent.asked.Load()
	if _, err := ask(t, 100*time.Millisecond, silent); !errors.Is(err, ErrFailed) {
		t.Errorf("error %v", err)
	}
	if n := silent.asked.Load() - before; n < 1 || n > 2 {
		t.Errorf("a silent server was asked %d times", n)
	}
	nobody := &server{addr: netip.MustParseAddrPort("127.0.0.1:1")}
	if _, err := ask(t, long, nobody); !errors.Is(err, ErrFailed) {
		t.Errorf("error %v", err)
	}
}

// TestNetworkClose: questions that nobody answers end with the resolver.
func TestNetworkClose(t *testing.T) {
	asked := make(chan struct{}, 1)
	silent := serve(t, &server{udp: func(uint16) [][]byte { asked <- struct{}{}; return nil }})
	o := DefaultOptions()
	o.Timeout = time.Hour
	r := New(o, Network(silent.addr))
	failed := make(chan error, 1)
	go func() {
		_, err := r.Lookup(context.Background(), question, always)
		failed <- err
	}()
	<-asked
	r.Close()
	if err := <-failed; !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
}

func TestSystemServers(t *testing.T) {
	for text, want := range map[string][]string{
		"":                           {"127.0.0.1:53"},
		"nameserver\nnameserver x\n": {"127.0.0.1:53"},
		"# nameserver 192.0.2.9\nsearch example\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 # x": {"192.0.2.1:53", "[2001:db8::1]:53"},
		"nameserver fe80::1%eth0": {"[fe80::1%eth0]:53"},
		"nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4": {"192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53"},
	} {
		var got []string
		for _, s := range systemServers(text) {
			got = append(got, s.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
