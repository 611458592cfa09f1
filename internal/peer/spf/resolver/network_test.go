package resolver

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"reflect"
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

// reply makes the message that answers a question.
type reply struct {
	rcode     dnsmessage.RCode
	truncated bool
	asked     string
	kind      dnsmessage.Type
	answers   []dnsmessage.Resource
}

func (r reply) pack(t testing.TB, id uint16) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header: dnsmessage.Header{ID: id, Response: true, RecursionAvailable: true, RCode: r.rcode, Truncated: r.truncated},
		Questions: []dnsmessage.Question{{
			Name: dnsmessage.MustNewName(cmp.Or(r.asked, "bank.example.")), Type: cmp.Or(r.kind, dnsmessage.TypeTXT), Class: dnsmessage.ClassINET,
		}},
		Answers: r.answers,
	}
	msg, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func record(name string, body dnsmessage.ResourceBody) dnsmessage.Resource {
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: 60},
		Body:   body,
	}
}

func txt(parts ...string) dnsmessage.Resource {
	return record("bank.example.", &dnsmessage.TXTResource{TXT: parts})
}

// replies sends the same reply to every question.
func replies(t *testing.T, r reply) func(id uint16) [][]byte {
	return func(id uint16) [][]byte { return [][]byte{r.pack(t, id)} }
}

var good = reply{answers: []dnsmessage.Resource{txt("v=spf1 -all")}}

func exchange(t *testing.T, limit time.Duration, s *server, q Question) (Answer, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	a, _, err := Network(s.addr)(ctx, q)
	return a, err
}

// long is more than any answer takes that comes.
const long = 20 * time.Second

// TestAnswers: what each type gives, over UDP.
func TestAnswers(t *testing.T) {
	mx := func(host string) dnsmessage.Resource {
		return record("bank.example.", &dnsmessage.MXResource{MX: dnsmessage.MustNewName(host)})
	}
	alias := record("bank.example.", &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("real.example.")})
	address := record("real.example.", &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}})
	six := record("bank.example.", &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2001:db8::1").As16()})
	for name, tc := range map[string]struct {
		kind Type
		reply
		want Answer
		err  error
	}{
		"text in parts":          {TypeTXT, reply{answers: []dnsmessage.Resource{txt("v=spf1 ", "-all")}}, Answer{Texts: []string{"v=spf1 -all"}}, nil},
		"case of the version":    {TypeTXT, reply{answers: []dnsmessage.Resource{txt("V=SPF1")}}, Answer{Texts: []string{"V=SPF1"}}, nil},
		"no SPF among the texts": {TypeTXT, reply{answers: []dnsmessage.Resource{txt("v=spf10 +all"), txt("v=spf"), txt("")}}, Answer{}, nil},
		"at most two":            {TypeTXT, reply{answers: []dnsmessage.Resource{txt("v=spf1 a"), txt("v=spf1 b"), txt("v=spf1 c")}}, Answer{Texts: []string{"v=spf1 a", "v=spf1 b"}}, nil},
		"too long":               {TypeTXT, reply{truncated: true}, Answer{}, ErrFailed},
		"alias":                  {TypeA, reply{kind: dnsmessage.TypeA, answers: []dnsmessage.Resource{alias, address}}, Answer{Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}, nil},
		"alias of nothing":       {TypeA, reply{kind: dnsmessage.TypeA, answers: []dnsmessage.Resource{alias}}, Answer{}, ErrNotFound},
		"IPv6":                   {TypeAAAA, reply{kind: dnsmessage.TypeAAAA, answers: []dnsmessage.Resource{six}}, Answer{Addrs: []netip.Addr{netip.MustParseAddr("2001:db8::1")}}, nil},
		"MX":                     {TypeMX, reply{kind: dnsmessage.TypeMX, answers: []dnsmessage.Resource{mx("b.example.")}}, Answer{Names: []string{"b.example"}}, nil},
		"no such name":           {TypeTXT, reply{rcode: dnsmessage.RCodeNameError}, Answer{}, ErrNotFound},
		"nothing of the type":    {TypeTXT, reply{}, Answer{}, ErrNotFound},
		"SERVFAIL":               {TypeTXT, reply{rcode: dnsmessage.RCodeServerFailure}, Answer{}, ErrFailed},
		"REFUSED":                {TypeTXT, reply{rcode: dnsmessage.RCodeRefused}, Answer{}, ErrFailed},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := exchange(t, long, serve(t, &server{udp: replies(t, tc.reply)}), Question{"bank.example", tc.kind})
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

// TestPTR: the question for the names of an address is the one of RFC 1035
// section 3.5.
func TestPTR(t *testing.T) {
	const name = "1.2.0.192.in-addr.arpa."
	r := reply{asked: name, kind: dnsmessage.TypePTR, answers: []dnsmessage.Resource{record(name, &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName("mx.bank.example.")})}}
	got, err := exchange(t, long, serve(t, &server{udp: replies(t, r)}), Reverse(netip.MustParseAddr("192.0.2.1")))
	if err != nil || !slices.Equal(got.Names, []string{"mx.bank.example"}) {
		t.Errorf("%v, %v", got, err)
	}
}

// TestStrangers: packets that answer something else, or nothing, are ignored.
func TestStrangers(t *testing.T) {
	s := serve(t, &server{udp: func(id uint16) [][]byte {
		wrong := reply{asked: "evil.example.", answers: []dnsmessage.Resource{txt("v=spf1 +all")}}
		return [][]byte{{}, {1}, wrong.pack(t, id), reply{answers: wrong.answers}.pack(t, id+1), good.pack(t, id)}
	}})
	a, err := exchange(t, long, s, question)
	if err != nil || a.Texts[0] != "v=spf1 -all" || s.asked.Load() != 1 {
		t.Fatalf("%v, %v, asked %d times", a, err, s.asked.Load())
	}
}

// TestTCP: what doesn't fit comes by TCP, up to the 64 KB that a message can
// have.
func TestTCP(t *testing.T) {
	full := func(first string) func(id uint16) [][]byte {
		parts := slices.Repeat([]string{strings.Repeat("x", 255)}, 255)
		parts[0] = first
		return replies(t, reply{answers: []dnsmessage.Resource{txt(parts...), txt("v=spf1 -all")}})
	}
	truncated := replies(t, reply{truncated: true})
	t.Run("64 KB beside SPF", func(t *testing.T) {
		a, err := exchange(t, long, serve(t, &server{udp: truncated, tcp: full("verification=")}), question)
		if err != nil || len(a.Texts) != 1 || a.Texts[0] != "v=spf1 -all" {
			t.Fatalf("%v, %v", a, err)
		}
	})
	cut := func(id uint16) [][]byte { return [][]byte{full("")(id)[0][:1000]} }
	for name, tcp := range map[string]func(uint16) [][]byte{"64 KB of SPF": full("v=spf1 "), "cut off": cut, "closed": nil} {
		t.Run(name, func(t *testing.T) {
			if _, err := exchange(t, long, serve(t, &server{udp: truncated, tcp: tcp}), question); !errors.Is(err, ErrFailed) {
				t.Fatal(err)
			}
		})
	}
}

// TestSilence: a server that missed the first question is asked again in time,
// and one that never answers is a failure.
func TestSilence(t *testing.T) {
	var n atomic.Int64
	s := serve(t, &server{udp: func(id uint16) [][]byte {
		if n.Add(1) == 1 {
			return nil
		}
		return [][]byte{good.pack(t, id)}
	}})
	if a, err := exchange(t, 12*time.Second, s, question); err != nil || len(a.Texts) != 1 {
		t.Errorf("%v, %v", a, err)
	}
	if _, err := exchange(t, 100*time.Millisecond, serve(t, &server{}), question); !errors.Is(err, ErrFailed) {
		t.Errorf("error %v", err)
	}
	nobody := &server{addr: netip.MustParseAddrPort("127.0.0.1:1")}
	if _, err := exchange(t, long, nobody, question); !errors.Is(err, ErrFailed) {
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

// TestDialer: a silent server has a quarter of the question's time, and its socket
// is closed when the question ends.
func TestDialer(t *testing.T) {
	s := serve(t, &server{})
	question, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
	defer cancel()
	conn, err := dialer(question, s.addr)(t.Context(), "udp", "192.0.2.1:53")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	short, ok := conn.(shortConn)
	if left := time.Until(short.until); !ok || left > 30*time.Minute || left < 20*time.Minute {
		t.Errorf("%T waits for %v", conn, left)
	}
	for name, c := range map[string]struct {
		until    time.Time
		deadline time.Duration
	}{
		"its own end":        {time.Now().Add(-time.Second), time.Hour},
		"the resolver's end": {time.Now().Add(time.Hour), -time.Second},
	} {
		short.until = c.until
		if err := short.SetDeadline(time.Now().Add(c.deadline)); err != nil {
			t.Fatal(err)
		}
		if _, err := short.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := short.UDPConn.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the question: %v", err)
	}
	byTCP, err := dialer(t.Context(), s.addr)(t.Context(), "tcp", "192.0.2.1:53")
	if _, ok := byTCP.(shortConn); ok || err != nil {
		t.Fatalf("by TCP: %T, %v", byTCP, err)
	}
	byTCP.Close()
}

// TestLongestRecord: 8 KB of SPF are read, more are an error.
func TestLongestRecord(t *testing.T) {
	longest := "v=spf1 " + strings.Repeat("a", maxText-7)
	if got, err := spfRecords([]string{longest}); err != nil || len(got) != 1 {
		t.Errorf("%d records, %v", len(got), err)
	}
	if got, err := spfRecords([]string{longest + "a"}); err == nil {
		t.Errorf("%d records", len(got))
	}
}
