package spf

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"tlsratchet/test/nsd"
)

// startNSD runs NSD with the zones of testdata, and returns its address.
func startNSD(t *testing.T) netip.AddrPort {
	t.Helper()
	zones := map[string]string{"large": largeZone(), "broken": ""}
	for name, file := range map[string]string{"example": "example", "192.in-addr.arpa": "reverse"} {
		text, err := os.ReadFile("testdata/" + file + ".zone")
		if err != nil {
			t.Fatal(err)
		}
		zones[name] = string(text)
	}
	return nsd.Start(t, zones)
}

// largeZone has texts of 60 KB: more won't fit a message. NSD takes 64 strings a
// record.
func largeZone() string {
	var b strings.Builder
	b.WriteString("$ORIGIN large.\n$TTL 300\n@ SOA ns.example. hostmaster.example. 1 3600 600 86400 60\n@ NS ns.example.\n")
	fill := func(name, first string, strs int) {
		fmt.Fprintf(&b, "%s TXT %q%s\n", name, first, strings.Repeat(fmt.Sprintf(" %q", strings.Repeat("x ", 127)), strs-1))
	}
	for i := range 4 {
		fill("beside", fmt.Sprint("verification=", i), 60)
		fill("inside", fmt.Sprint("verification=", i), 40)
	}
	b.WriteString("beside TXT \"v=spf1 ip4:192.0.2.10 -all\"\n")
	fill("inside", "v=spf1 ip4:192.0.2.10 ", 60)
	return b.String()
}
