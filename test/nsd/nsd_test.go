package nsd

import (
	"errors"
	"net"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"tlsratchet/internal/peer/spf/resolver"
)

func TestStart(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	addr := Start(t, map[string]string{
		"broken":  "",
		"example": "$ORIGIN example.\n$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n",
	})
	for name, want := range map[string]error{"ns.example": nil, "none.example": resolver.ErrNotFound, "a.broken": resolver.ErrFailed} {
		q, err := resolver.Ask(name, resolver.TypeA)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := resolver.Network(addr)(t.Context(), q); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

// A signed zone is answered as authentic (AD), which is what DANE rests on.
func TestSigned(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	const addr = "127.53.53.53"
	Signed(t, addr, "example", "$ORIGIN example.\n$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n")
	var m dnsmessage.Message
	if err := m.Unpack(ask(t, addr, "ns.example.")); err != nil {
		t.Fatal(err)
	}
	if m.RCode != dnsmessage.RCodeSuccess || len(m.Answers) != 1 || !m.AuthenticData {
		t.Errorf("%+v", m)
	}
}

func ask(t *testing.T, addr, name string) []byte {
	t.Helper()
	q := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 1, RecursionDesired: true, AuthenticData: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	query, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("udp", net.JoinHostPort(addr, "53"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(query); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 1500)
	n, err := c.Read(reply)
	if err != nil {
		t.Fatal(err)
	}
	return reply[:n]
}
