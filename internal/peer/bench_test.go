package peer_test

import (
	"net/netip"
	"testing"

	"tlsratchet/internal/peer"
)

func BenchmarkIdentify(b *testing.B) {
	for _, bb := range []struct{ name, addr, host string }{
		{"IPv4", "209.85.221.41", "mail-wr1-f41.google.com"},
		{"IPv6", "IPv6:2a00:1450:4864:20::42a", "mail-wr1-x42a.google.com"},
		{"embedded", "192.0.2.10", "c-192-0-2-10.hsd1.ca.comcast.net"},
		{"unconfirmed", "192.0.2.10", "unknown"},
		{"IDN", "192.0.2.10", "mx.xn--bcher-kva.example"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			c := known()
			c.Addr, c.Name = bb.addr, bb.host
			b.ReportAllocs()
			for b.Loop() {
				_, _ = peer.Identify(c)
			}
		})
	}
}

func BenchmarkDomain(b *testing.B) {
	ip := netip.MustParseAddr("54.240.27.18")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = peer.Domain("a27-18.smtp-out.us-west-2.amazonses.com", ip)
	}
}
