package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"tlsratchet/test/nsd"
	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
)

// TestOutboundNeverWeakens: where an answer of ours would switch DANE off, in
// main.cf or for one transport, nothing is answered, and the log states why.
func TestOutboundNeverWeakens(t *testing.T) {
	for name, tt := range map[string]struct{ main, want string }{
		"dane":    {"smtp_tls_security_level = dane", "would switch DANE off"},
		"encrypt": {"smtp_tls_security_level = encrypt", "there is nothing to add"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newOutbox(t, map[string][]string{"bank.test": {"mx.bank.test"}}, tt.main)
			d := serve(t, s.in.MilterSocket(), taught(t, tlsstate.TLS12, 30, "destination:bank.test"), s.config(hold))
			if line := d.wait("destinations are not held"); !strings.Contains(line, tt.want) {
				t.Error(line)
			}
			s.sinks["mx.bank.test"].Set(posttest.Behaviour{NoOffer: name == "dane"})
			s.send("ann@bank.test")
			if v, _ := s.arrives("ann@bank.test"); (v == 0) != (name == "dane") {
				t.Errorf("version %x", v)
			}
		})
	}
}

// daneDomains are in a signed zone. All but the last publish TLSA records, all
// are pinned and required by rows of the configuration, and the last two are
// stripped.
var daneDomains = []string{"right.test", "wrong.test", "stripped.test", "none.test"}

// TestOutboundDANE: at a real signed zone and a validating resolver, a delivery is
// never weaker with us than without.
func TestOutboundDANE(t *testing.T) {
	mx, pinned, rows := map[string][]string{}, []string(nil), ""
	for _, domain := range daneDomains {
		mx[domain] = []string{"mx." + domain}
		pinned = append(pinned, "destination:"+domain)
		rows += fmt.Sprintf("[[send]]\ndomain = %q\nleast = \"TLSv1.2\"\naction = \"hold\"\n", domain)
	}
	s, addrs := newReceivers(t, mx)
	resolver := posttest.Loopback()
	nsd.Signed(t, resolver, "test", s.daneZone(addrs))
	s.sinks["mx.stripped.test"].Set(posttest.Behaviour{NoOffer: true})
	s.sinks["mx.none.test"].Set(posttest.Behaviour{NoOffer: true})

	const (
		dane  = "smtp_tls_security_level = dane"
		alone = "smtp_tls_policy_maps ="
		// front stands for a resolver that answers for DANE, in front of us.
		front = "smtp_tls_policy_maps = inline:{ {right.test = dane-only}, {wrong.test = dane-only}, {stripped.test = dane-only} }"
		ours  = ", memcache:${config_directory}/tlsratchet-policy.cf"
	)
	for i, tt := range []struct {
		name string
		main []string
		with bool // us
		want []string
	}{
		{"dane", []string{dane, alone}, false, []string{"TLSv1.3", "deferred", "deferred", "clear"}},
		{"dane, with us", []string{dane}, true, []string{"TLSv1.3", "deferred", "deferred", "clear"}},
		{"dane in front", []string{front}, false, []string{"TLSv1.3", "deferred", "deferred", "clear"}},
		{"dane in front, with us", []string{front + ours}, true, []string{"TLSv1.3", "deferred", "deferred", "deferred"}},
		// What is to be prevented: this shows that the table would find it.
		{"encrypt in place of dane", []string{dane, "smtp_tls_policy_maps = inline:{wrong.test=encrypt}"}, false,
			[]string{"TLSv1.3", "TLSv1.3", "deferred", "clear"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &outbox{t: t, sinks: s.sinks}
			s.in = newSender(t, resolver, append(tt.main, "smtp_dns_support_level = dnssec")...)
			if tt.with {
				serve(t, s.in.MilterSocket(), taught(t, tlsstate.TLS12, 30, pinned...), s.config(hold)+rows)
			}
			for n, domain := range daneDomains {
				if got := s.fate(fmt.Sprintf("n%d@%s", i, domain)); got != tt.want[n] {
					t.Errorf("%s: %s, want %s", domain, got, tt.want[n])
				}
			}
		})
	}
}

// daneZone is the zone of daneDomains.
func (s *outbox) daneZone(addrs map[string]string) string {
	zone := zoneOf(addrs)
	for host, key := range map[string]string{"mx.right.test": "mx.right.test", "mx.stripped.test": "mx.stripped.test", "mx.wrong.test": "mx.right.test"} {
		zone += fmt.Sprintf("_25._tcp.%s. TLSA %s\n", host, s.sinks[key].TLSA())
	}
	return zone
}

// zoneOf is a zone for hosts named "mx." and their domain.
func zoneOf(addrs map[string]string) string {
	zone := "$ORIGIN test.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
	for host, addr := range addrs {
		zone += fmt.Sprintf("%s. A %s\n%s. MX 10 %s.\n", host, addr, strings.TrimPrefix(host, "mx."), host)
	}
	return zone
}

// fate sends a message, and returns the TLS that it was sent with, "clear" or
// "deferred".
func (s *outbox) fate(to string) string {
	s.t.Helper()
	s.send(to)
	line := s.line("to=<" + regexp.QuoteMeta(to) + ">.* status=")
	if strings.Contains(line, "status=deferred") {
		return "deferred"
	}
	v, _ := s.arrives(to)
	return version(v)
}
