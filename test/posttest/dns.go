package posttest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// DNS is a small name server on an address of loopback of its own, port 53: it
// knows the names that it was made with, and no others.
type DNS struct {
	conn net.PacketConn
	addr string
	mx   map[string][]string
	a    map[string]string
}

// NewDNS serves MX hosts by domain, in the order of their preference, and
// addresses by host. It needs root. Close it.
func NewDNS(mx map[string][]string, a map[string]string) (*DNS, error) {
	var last error
	for range 20 {
		addr := Loopback()
		conn, err := net.ListenPacket("udp", net.JoinHostPort(addr, "53"))
		if err != nil {
			last = err
			continue
		}
		d := &DNS{conn: conn, addr: addr, mx: mx, a: a}
		go d.serve()
		return d, nil
	}
	return nil, fmt.Errorf("name server: %w", last)
}

// Loopback returns an address of 127.0.0.0/8 that most likely nobody uses.
func Loopback() string {
	return fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(250), rand.IntN(256), 1+rand.IntN(250))
}

// Addr is the server's address, without a port.
func (d *DNS) Addr() string { return d.addr }

// Close ends the server.
func (d *DNS) Close() error { return d.conn.Close() }

func (d *DNS) serve() {
	buf := make([]byte, 1500)
	for {
		n, from, err := d.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if reply, err := d.answer(buf[:n]); err == nil {
			d.conn.WriteTo(reply, from)
		}
	}
}

func (d *DNS) answer(query []byte) ([]byte, error) {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	mx, isDomain := d.mx[name]
	a, isHost := d.a[name]
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: h.ID, Response: true, Authoritative: true, RecursionDesired: h.RecursionDesired, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q},
	}
	head := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, Type: q.Type, TTL: 1}
	switch {
	case !isDomain && !isHost:
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeMX:
		for i, host := range mx {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.MXResource{
				Pref: uint16(10 * (i + 1)), MX: dnsmessage.MustNewName(host + "."),
			}})
		}
	case q.Type == dnsmessage.TypeA && isHost:
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: netip.MustParseAddr(a).As4()}})
	}
	return m.Pack()
}
