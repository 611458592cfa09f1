package peer_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

// known is a client of which all is known and confirmed.
func known() peer.Client {
	return peer.Client{
		Addr: "192.0.2.10", Name: "mx1.bank.example", Resolve: "OK",
		DaemonAddr: "198.51.100.1", DaemonPort: "25",
	}
}

func identify(t *testing.T, c peer.Client) peer.Peer {
	t.Helper()
	p, err := peer.Identify(c)
	if err != nil {
		t.Fatalf("Identify(%+v): %v", c, err)
	}
	return p
}

func TestIdentify(t *testing.T) {
	want := peer.Peer{
		IP:       netip.MustParseAddr("192.0.2.10"),
		Host:     "mx1.bank.example",
		Address:  tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.10"},
		Domain:   tlsstate.Identity{Kind: tlsstate.Domain, Name: "bank.example"},
		Listener: tlsstate.Identity{Kind: tlsstate.Listener, Name: "25"},
		Network:  tlsstate.Mark([]byte{192, 0, 2}),
		Mark:     tlsstate.Mark([]byte{192, 0, 2, 10}),
		HostMark: tlsstate.HostMark("mx1.bank.example"),
	}
	sameAddr := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, identify(t, known()), sameAddr); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAddress(t *testing.T) {
	for _, tt := range []struct{ addr, ip, name string }{
		{"192.0.2.10", "192.0.2.10", "192.0.2.10"},
		{"IPV6:2001:db8::1", "2001:db8::1", "2001:db8::1"}, // Postfix 3.4, after XCLIENT
		{"IPv6:2001:db8::1", "2001:db8::1", "2001:db8::1"},
		{"2001:db8::1", "2001:db8::1", "2001:db8::1"},
		{"IPv6:2001:DB8:0:1:FFFF::1", "2001:db8:0:1:ffff::1", "2001:db8:0:1:ffff::1"},
		{"2001:0db8:0000:0001:0000:0000:0000:0001", "2001:db8:0:1::1", "2001:db8:0:1::1"},
		{"::ffff:192.0.2.10", "192.0.2.10", "192.0.2.10"},
		{"IPv6:::ffff:192.0.2.10", "192.0.2.10", "192.0.2.10"},
		{"IPv6:::ffff:c000:20a", "192.0.2.10", "192.0.2.10"},
		{"IPv6:::1", "::1", "::1"},
		{"IPv6:fe80::1%eth0", "fe80::1", "fe80::1"},
		{"fe80::1%\x1b[31m\r\n", "fe80::1", "fe80::1"},
		{"::ffff:192.0.2.10%eth0", "192.0.2.10", "192.0.2.10"},
		{"IPv6:64:ff9b::c000:20a", "192.0.2.10", "192.0.2.10"},
		{"64:ff9b::192.0.2.10", "192.0.2.10", "192.0.2.10"},
		{"64:ff9b:0:0:0:1:c000:20a", "64:ff9b::1:c000:20a", "64:ff9b::1:c000:20a"},
		{"64:ff9b:1::c000:20a", "64:ff9b:1::c000:20a", "64:ff9b:1::c000:20a"},
	} {
		c := known()
		c.Addr = tt.addr
		p := identify(t, c)
		if p.IP.String() != tt.ip || p.Address.Name != tt.name || p.Address.Kind != tlsstate.Address {
			t.Errorf("%q: %s, %s, want %s, %s", tt.addr, p.IP, p.Address, tt.ip, tt.name)
		}
	}
}

func TestNoAddress(t *testing.T) {
	for _, addr := range []string{
		"", "unknown", "UNKNOWN", "IPv6:", "IPv6:unknown", "IPv6:192.0.2.10", "192.0.2", "192.0.2.010", "192.0.2.256",
		"192.0.2.10 ", "192.0.2.10\x00", "192.0.2.10:25", "[192.0.2.10]", "[IPv6:2001:db8::1]", "2001:db8::1/64",
		"0.0.0.0", "::", "IPv6:::ffff:0.0.0.0", "64:ff9b::", "192.0.2.10%eth0", "mx1.bank.example", "\r\n", strings.Repeat("1", 2000),
	} {
		c := known()
		c.Addr = addr
		p, err := peer.Identify(c)
		if !errors.Is(err, peer.ErrNoAddress) {
			t.Errorf("%q: %v, want ErrNoAddress", addr, err)
			continue
		}
		if p != (peer.Peer{}) {
			t.Errorf("%q: an error and %+v", addr, p)
		}
		if msg := err.Error(); len(msg) > 400 || !clean(strings.ReplaceAll(msg, " ", "")) {
			t.Errorf("%q: the error isn't fit for a log: %q", addr, msg)
		}
	}
}

// A name counts only when Postfix confirmed it forward and back.
func TestConfirmed(t *testing.T) {
	for _, tt := range []struct{ name, resolve, host, domain string }{
		{"mx1.bank.example", "OK", "mx1.bank.example", "bank.example"},
		{"MX1.bank.example.", "OK", "mx1.bank.example", "bank.example"},
		{"mx1.bank.example", "FAIL", "", ""},
		{"mx1.bank.example", "FORGED", "", ""},
		{"mx1.bank.example", "TEMP", "", ""},
		{"mx1.bank.example", "", "", ""},
		{"mx1.bank.example", "ok", "", ""},
		{"mx1.bank.example", "OK\n", "", ""},
		{"unknown", "OK", "", ""},
		{"Unknown.", "OK", "", ""},
		{"", "OK", "", ""},
		{"localhost", "OK", "localhost", ""},
		{"co.uk", "OK", "co.uk", ""},
		{"host-192-0-2-10.isp.example", "OK", "host-192-0-2-10.isp.example", ""},
		{"mx.bücher.example", "OK", "mx.xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"192.0.2.10", "OK", "", ""},
	} {
		c := known()
		c.Name, c.Resolve = tt.name, tt.resolve
		p := identify(t, c)
		if p.Host != tt.host || p.Domain.Name != tt.domain {
			t.Errorf("%q %q: host %q, domain %q, want %q, %q", tt.name, tt.resolve, p.Host, p.Domain.Name, tt.host, tt.domain)
		}
		if p.Domain.IsZero() != (tt.domain == "") {
			t.Errorf("%q: domain identity %+v", tt.name, p.Domain)
		}
	}
}

func TestListener(t *testing.T) {
	for _, tt := range []struct{ addr, port, want string }{
		{"198.51.100.1", "25", "25"},
		{"198.51.100.1", "00025", "25"},
		{"198.51.100.1", "65535", "65535"},
		{"2001:DB8::25", "587", "587"},
		{"IPv6:2001:db8::25", "25", "25"},
		{"", "25", "25"}, // a port is one listener, on whatever address
		{"198.51.100.1", "", ""},
		{"198.51.100.1", "0", ""},
		{"198.51.100.1", "65536", ""},
		{"198.51.100.1", "-25", ""},
		{"198.51.100.1", "+25", ""},
		{"198.51.100.1", "smtp", ""},
		{"198.51.100.1", "25\r\n", ""},
	} {
		c := known()
		c.DaemonAddr, c.DaemonPort = tt.addr, tt.port
		p := identify(t, c)
		if p.Listener.Name != tt.want || p.Listener.IsZero() != (tt.want == "") {
			t.Errorf("%q %q: %+v, want %q", tt.addr, tt.port, p.Listener, tt.want)
		}
	}
}

// The sketches are stored and shared: these numbers must stay.
func TestMarksStay(t *testing.T) {
	for _, tt := range []struct {
		addr          string
		network, mark tlsstate.Sketch
	}{
		{"192.0.2.10", tlsstate.Mark([]byte{192, 0, 2}), tlsstate.Mark([]byte{192, 0, 2, 10})},
		{"::ffff:192.0.2.10", tlsstate.Mark([]byte{192, 0, 2}), tlsstate.Mark([]byte{192, 0, 2, 10})},
		{"IPv6:2001:db8:1:2:3::4", tlsstate.Mark([]byte{0x20, 1, 0xd, 0xb8, 0, 1}),
			tlsstate.Mark([]byte{0x20, 1, 0xd, 0xb8, 0, 1, 0, 2, 0, 3, 0, 0, 0, 0, 0, 4})},
	} {
		p := identify(t, peer.Client{Addr: tt.addr})
		if p.Network != tt.network || p.Mark != tt.mark {
			t.Errorf("%s: %x %x, want %x %x", tt.addr, p.Network, p.Mark, tt.network, tt.mark)
		}
	}
}

// What [tlsstate.Verdict] calls broad must be countable from whole networks.
func TestMarksCountNeighbours(t *testing.T) {
	var networks, addresses tlsstate.Sketch
	for i := range 12 {
		p := identify(t, peer.Client{Addr: fmt.Sprintf("198.51.%d.%d", 100+i/4, 10+i)})
		networks, addresses = networks|p.Network, addresses|p.Mark
	}
	if n, a := networks.Estimate(), addresses.Estimate(); n != 3 || a < 9 || a > 15 {
		t.Errorf("3 networks and 12 addresses are estimated as %d and %d", n, a)
	}
}

func TestIdentifyAllocates(t *testing.T) {
	c := known()
	if n := testing.AllocsPerRun(100, func() { _, _ = peer.Identify(c) }); n > 2 {
		t.Errorf("%v allocations, want at most 2: the listener's name, and one in publicsuffix", n)
	}
}

// clean reports whether a text holds only what an identity's name may hold.
func clean(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < 0x21 || r > 0x7e }) < 0
}

// TestNetwork: the /24 or /48; an address that isn't there has none.
func TestNetwork(t *testing.T) {
	for addr, want := range map[string]string{"192.0.2.10": "192.0.2.0/24", "IPv6:2001:db8:1:2::3": "2001:db8:1::/48"} {
		p, err := peer.Identify(peer.Client{Addr: addr})
		if got := p.NetworkID(); err != nil || got.Name != want || got.Kind != tlsstate.Network {
			t.Errorf("%s: %s, %v", addr, got, err)
		}
	}
	if id := new(peer.Peer).NetworkID(); !id.IsZero() || peer.Network(netip.Addr{}).IsValid() {
		t.Errorf("of none: %s", id)
	}
}
