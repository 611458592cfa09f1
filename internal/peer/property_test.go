package peer_test

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tlsratchet/internal/peer"
)

var anyIPv4 = rapid.Custom(func(t *rapid.T) netip.Addr {
	return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "ip")))
})

// anyIPv6 has zeros in it as often as real ones do.
var anyIPv6 = rapid.Custom(func(t *rapid.T) netip.Addr {
	b := [16]byte{0x20, 0x01, 0x0d, 0xb8}
	for i := 4; i < 16; i += 2 {
		if rapid.Bool().Draw(t, "zero") {
			continue
		}
		copy(b[i:], rapid.SliceOfN(rapid.Byte(), 2, 2).Draw(t, "group"))
	}
	return netip.AddrFrom16(b)
})

var anyAddr = rapid.OneOf(anyIPv4, anyIPv6)

// render4 writes an IPv4 address in one of the ways that providers do.
func render4(t *rapid.T, ip netip.Addr) string {
	b := ip.As4()
	if rapid.Bool().Draw(t, "reversed") {
		slices.Reverse(b[:])
	}
	sep := rapid.SampledFrom([]string{".", "-", "_", "x"}).Draw(t, "sep")
	n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	ways := []string{
		fmt.Sprintf("%d%s%d%s%d%s%d", b[0], sep, b[1], sep, b[2], sep, b[3]),
		fmt.Sprintf("%03d%s%03d%s%03d%s%03d", b[0], sep, b[1], sep, b[2], sep, b[3]),
		fmt.Sprintf("%03d%03d%03d%03d", b[0], b[1], b[2], b[3]),
		fmt.Sprintf("%03d%03d-%03d%03d", b[0], b[1], b[2], b[3]),
		fmt.Sprintf("%d%s%d%s%d", b[0], sep, b[1], sep, b[2]),
		fmt.Sprintf("%d%s%d%s%d", b[1], sep, b[2], sep, b[3]),
		fmt.Sprintf("%d-dsl-%d%s%d", b[0], b[2], sep, b[3]),
		fmt.Sprintf("%08x", n),
		fmt.Sprintf("%08X", n),
		fmt.Sprintf("%02x-%02x-%02x-%02x", b[0], b[1], b[2], b[3]),
		fmt.Sprintf("%04x.%04x", n>>16, n&0xffff),
		fmt.Sprintf("%010d", n),
	}
	return rapid.SampledFrom(ways).Draw(t, "way")
}

// render6 writes an IPv6 address in one of the ways that providers do.
func render6(t *rapid.T, ip netip.Addr) string {
	b := ip.As16()
	full := hex.EncodeToString(b[:])
	nibbles := strings.Split(full, "")
	slices.Reverse(nibbles)
	var groups []string
	for i := 0; i < 16; i += 2 {
		groups = append(groups, fmt.Sprintf("%x", int(b[i])<<8|int(b[i+1])))
	}
	short := strings.ReplaceAll(ip.String(), ":", "-")
	if strings.HasSuffix(short, "--") {
		short += "0"
	}
	ways := []string{
		full, strings.ToUpper(full), full[:16], full[16:],
		strings.Join(strings.Split(full, ""), "."),
		strings.Join(nibbles, "."),
		strings.ReplaceAll(ip.StringExpanded(), ":", "-"),
		strings.ReplaceAll(ip.StringExpanded(), ":", "."),
		strings.Join(groups, "-"), strings.Join(groups, "."), strings.Join(groups[:4], "-"), short,
	}
	return rapid.SampledFrom(ways).Draw(t, "way")
}

// However a provider writes the address into a name, the name gives no domain.
func TestEmbeddedAddressIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ip := anyAddr.Draw(t, "addr")
		var text string
		if ip.Is4() {
			text = render4(t, ip)
		} else {
			text = render6(t, ip)
		}
		before := rapid.SampledFrom([]string{"", "host-", "ip", "a.", "static.", "h1-pool-", "ns3."}).Draw(t, "before")
		after := rapid.SampledFrom([]string{"", "-dyn", ".pool", ".hsd1.ca", ".w-1.x"}).Draw(t, "after")
		host := before + text + after + rapid.SampledFrom([]string{".isp.example", ".isp.co.uk"}).Draw(t, "org")
		if d, ok := peer.Domain(host, ip); ok {
			t.Fatalf("Domain(%q, %s) = %q", host, ip, d)
		}
	})
}

// The domain depends on the name alone once the name holds no digits and no
// eight hex letters in a row.
func TestPlainNameIsNeverEmbedded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ip := anyAddr.Draw(t, "addr")
		host := rapid.StringMatching(`([g-z]{1,9}[._-]?[g-z]{1,9}\.){0,3}`).Draw(t, "host") + "bank.example"
		if d, ok := peer.Domain(host, ip); d != "bank.example" || !ok {
			t.Fatalf("Domain(%q, %s) = %q, %v", host, ip, d, ok)
		}
	})
}

// One octet of its own is never held against a name, nor are the last two
// where no word is one of customers.
func TestNumberedHostKeepsItsDomain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ip := anyIPv4.Draw(t, "ip")
		b := ip.As4()
		host := rapid.SampledFrom([]string{
			fmt.Sprintf("host%d.mail.bank.example", b[3]),
			fmt.Sprintf("a%d-%d.smtp-out.bank.example", b[2], b[3]),
			fmt.Sprintf("mail%d-%d.bank.example", b[2], b[3]),
			fmt.Sprintf("o%d%d%dx%d.bank.example", max(b[0], 100), max(b[1], 10), max(b[2], 10), b[3]),
		}).Draw(t, "host")
		if d, ok := peer.Domain(host, ip); d != "bank.example" || !ok {
			t.Fatalf("Domain(%q, %s) = %q, %v", host, ip, d, ok)
		}
	})
}

func TestNormalizeIsIdempotent(t *testing.T) {
	names := rapid.OneOf(
		rapid.String(),
		rapid.StringMatching(`([A-Za-z0-9_-]{1,12}\.){0,5}[A-Za-z]{2,6}\.?`),
		rapid.StringMatching(`(xn--[a-z0-9-]{1,12}\.){1,2}[a-zäöüßéл-я例]{2,6}`),
		rapid.StringOfN(rapid.RuneFrom([]rune("aZ0-._。ßüéאبप例ｍ\u200d\u0300")), 1, 24, -1),
	)
	rapid.Check(t, func(t *rapid.T) {
		once, err := peer.Normalize(names.Draw(t, "name"))
		if err != nil {
			return
		}
		if twice, err := peer.Normalize(once); err != nil || twice != once {
			t.Fatalf("%q, then %q, %v", once, twice, err)
		}
		if upper, err := peer.Normalize(strings.ToUpper(once) + "."); err != nil || upper != once {
			t.Fatalf("%q, in capitals %q, %v", once, upper, err)
		}
	})
}

// Two names of one domain, and two spellings of one address, meet in one
// history. Two addresses of one /64 don't: hosters put strangers there.
func TestIdentitiesAreShared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := anyIPv6.Draw(t, "addr").As16()
		a := netip.AddrFrom16(b)
		p, err := peer.Identify(peer.Client{Addr: "IPv6:" + a.String(), Name: "mx.bank.example", Resolve: "OK"})
		if err != nil {
			t.Fatal(err)
		}
		q, err := peer.Identify(peer.Client{Addr: netip.AddrFrom16(b).StringExpanded(), Name: "OUT.bank.example.", Resolve: "OK"})
		if err != nil {
			t.Fatal(err)
		}
		if p.Address != q.Address || p.Domain != q.Domain || p.Mark != q.Mark || p.Network != q.Network {
			t.Fatalf("%+v and %+v", p, q)
		}
		b[15] ^= 1
		if q, err = peer.Identify(peer.Client{Addr: netip.AddrFrom16(b).String()}); err == nil && (p.Address == q.Address || p.Network != q.Network) {
			t.Fatalf("%+v and its neighbour %+v", p, q)
		}
	})
}
