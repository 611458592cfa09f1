package e2e

import (
	"crypto/tls"
	"testing"

	"tlsratchet/test/chaos/servers"
	"tlsratchet/test/posttest"
)

// TestOutboundShared: the sending hosts of a site have one memory. What one of them
// learned of a destination, another one holds it to.
func TestOutboundShared(t *testing.T) {
	server, _ := newServer(t, servers.Valkey)
	mx := map[string][]string{"bank.test": {"mx.bank.test"}}
	first := newOutbox(t, mx)
	second := &outbox{t: t, sinks: first.sinks, in: newSender(t, first.resolver)}
	const policy = hold + "\npin_after_days = 1"
	d := serve(t, first.in.MilterSocket(), "", at(server.URL())+first.config(policy))
	serve(t, second.in.MilterSocket(), "", at(server.URL())+second.config(policy))

	first.send("learned@bank.test")
	if v, _ := first.arrives("learned@bank.test"); v != tls.VersionTLS13 {
		t.Errorf("version %x", v)
	}
	d.wait("msg=\"destination pinned\"")
	eventually(t, "the pin on the server", func() bool {
		n, err := server.Do("EXISTS", "tlsratchet:destination:bank.test")
		return err == nil && n == "1"
	})
	first.sinks["mx.bank.test"].Set(posttest.Behaviour{NoOffer: true})
	for name, s := range map[string]*outbox{"second": second, "first": first} {
		if got := s.fate(name + "@bank.test"); got != "deferred" {
			t.Errorf("the %s host: %s", name, got)
		}
	}
}
