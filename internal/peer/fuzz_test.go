package peer_test

import (
	"net/netip"
	"strings"
	"testing"

	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

// FuzzIdentify: no facts make it panic, and whatever identity comes out is
// clean and survives its own text.
func FuzzIdentify(f *testing.F) {
	f.Add("192.0.2.10", "mx1.bank.example", "OK", "198.51.100.1", "25")
	f.Add("IPv6:2001:db8::1", "2001-db8--1.isp.example.", "OK", "IPv6:2001:db8::25", "587")
	f.Add("fe80::1%\x00", "unknown", "FAIL", "", "")
	for _, name := range hostile {
		f.Add("::ffff:192.0.2.10", name, "OK", name, name)
		f.Add(name, "mx.bücher.example", name, "198.51.100.1", "25")
	}
	f.Fuzz(func(t *testing.T, addr, name, resolve, daemonAddr, daemonPort string) {
		p, err := peer.Identify(peer.Client{Addr: addr, Name: name, Resolve: resolve, DaemonAddr: daemonAddr, DaemonPort: daemonPort})
		if err != nil {
			return
		}
		wantKind(t, p.Address, tlsstate.Address, false)
		wantKind(t, p.Domain, tlsstate.Domain, true)
		wantKind(t, p.Listener, tlsstate.Listener, true)
		if resolve != "OK" && (p.Host != "" || !p.Domain.IsZero()) {
			t.Errorf("unconfirmed %q became %q and %v", name, p.Host, p.Domain)
		}
		if !clean(p.Host) || !strings.HasSuffix(p.Host, p.Domain.Name) {
			t.Errorf("host %q, domain %v", p.Host, p.Domain)
		}
		if p.IP.Is4In6() || p.IP.Zone() != "" || p.Mark == 0 || p.Network == 0 {
			t.Errorf("%+v", p)
		}
	})
}

func wantKind(t *testing.T, id tlsstate.Identity, kind tlsstate.Kind, optional bool) {
	t.Helper()
	if optional && id.IsZero() {
		return
	}
	again, err := tlsstate.ParseIdentity(id.String())
	if err != nil || again != id || id.Kind != kind || !clean(id.Name) || len(id.Name) > 253 {
		t.Errorf("%v identity %+v: %+v, %v", kind, id, again, err)
	}
}

// FuzzNormalize: what comes out is a clean name that stays as it is.
func FuzzNormalize(f *testing.F) {
	for _, name := range hostile {
		f.Add(name)
	}
	for _, tt := range domains {
		f.Add(tt.host)
	}
	f.Fuzz(func(t *testing.T, name string) {
		host, err := peer.Normalize(name)
		if err != nil {
			if msg := strings.ReplaceAll(err.Error(), " ", ""); !clean(msg) || len(msg) > 800 {
				t.Errorf("unclean error %q", msg)
			}
			return
		}
		if host == "" || len(host) > 253 || !clean(host) || host != strings.ToLower(host) || strings.HasSuffix(host, ".") {
			t.Errorf("Normalize(%q) = %q", name, host)
		}
		if again, err := peer.Normalize(host); err != nil || again != host {
			t.Errorf("%q, then %q, %v", host, again, err)
		}
	})
}

// FuzzDomain: a domain is a proper tail of its name, and its own domain where
// no address is asked about.
func FuzzDomain(f *testing.F) {
	for _, tt := range domains {
		ip := netip.MustParseAddr(tt.addr)
		f.Add(tt.host, ip.AsSlice())
	}
	f.Fuzz(func(t *testing.T, host string, addr []byte) {
		ip, _ := netip.AddrFromSlice(addr)
		d, ok := peer.Domain(host, ip)
		if ok != (d != "") {
			t.Fatalf("%q, %v", d, ok)
		}
		if !ok {
			return
		}
		if again, ok := peer.Domain(d, netip.Addr{}); !ok || again != d {
			t.Errorf("the domain of %q is %q, and of that %q", host, d, again)
		}
	})
}
