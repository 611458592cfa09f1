package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// On is the opposite of [Off].
const On = "on"

// systemResolver is the zero [SPF.Resolver] in words.
const systemResolver = "system"

// SPF is how senders are proven.
type SPF struct {
	// On reports whether they are.
	On bool
	// Resolver is the DNS resolver that is asked; the zero value for the
	// system's.
	Resolver netip.AddrPort
	// Timeout is how long a session in clear may wait for a proof.
	Timeout time.Duration
}

func spfSetting() setting[Config] {
	return word("spf", func(c *Config) *bool { return &c.SPF.On }, parseOnOff, showOnOff)
}

func dnsSettings() []setting[Config] {
	return []setting[Config]{
		word("dns.resolver", func(c *Config) *netip.AddrPort { return &c.SPF.Resolver }, parseResolver, showResolver),
		span("dns.timeout_milliseconds", func(c *Config) *time.Duration { return &c.SPF.Timeout }, time.Millisecond, 100, 2000),
	}
}

func defaultSPF() SPF { return SPF{On: true, Timeout: 2 * time.Second} }

func parseOnOff(s string) (bool, error) {
	on, err := oneOf(On, Off)(s)
	return on == On, err
}

func showOnOff(on bool) string {
	if on {
		return On
	}
	return Off
}

// parseResolver wants an address, with or without a port: a name would have to
// be looked up first.
func parseResolver(s string) (netip.AddrPort, error) {
	if s == systemResolver {
		return netip.AddrPort{}, nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		var ip netip.Addr
		ip, err = netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
		ap = netip.AddrPortFrom(ip, 53)
	}
	if err != nil || ap.Port() == 0 || ap.Addr().IsUnspecified() || !printable(s) {
		return netip.AddrPort{}, fmt.Errorf("unknown resolver %s: use an address, as 127.0.0.1:5353 or [::1]:53, or %q", shown(s), systemResolver)
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

func showResolver(ap netip.AddrPort) string {
	if !ap.IsValid() {
		return systemResolver
	}
	return ap.String()
}
