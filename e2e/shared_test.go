package e2e

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"tlsratchet/chaos/servers"
	"tlsratchet/internal/posttest"
)

// mx is one of several MX hosts of a domain.
type mx struct {
	world
	daemon *daemon
}

// newMX returns a host that shares its memory at the URL, on a listener where
// TLS was seen.
func newMX(t *testing.T, url string) mx {
	t.Helper()
	in := newPostfix(t, posttest.Options{})
	m := mx{world: world{t, in}}
	m.daemon = serve(t, in.MilterSocket(), "", "shared = \""+url+"\"\n[status]\nlisten = \"off\"\n", "--pin-after-days", "1")
	stranger := m.bank("203.0.113.99", m.tls13())
	stranger.XCLIENT[0] = "NAME=mail.stranger.example"
	m.delivered(stranger, mail("offers TLS"))
	return m
}

// operator runs a command on the host's daemon.
func (m mx) operator(args ...string) string {
	m.Helper()
	out, err := exec.Command(binary, args...).CombinedOutput()
	if err != nil {
		m.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Three hosts of one domain have one memory.
func TestSharedMemory(t *testing.T) {
	const bank = "192.0.2.80"
	server, err := servers.Start(servers.Valkey, t.TempDir())
	if err != nil {
		t.Fatalf("this scenario needs a real Valkey: %v", err)
	}
	t.Cleanup(server.Stop)
	net3, err := servers.NewProxy(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(net3.Close)
	mx1, mx2, mx3 := newMX(t, server.URL()), newMX(t, server.URL()), newMX(t, net3.URL())

	// Learned at mx1, stripped at mx2, and at mx3.
	mx1.delivered(mx1.bank(bank, mx1.tls12()), mail("learned"))
	await(t, "the pin on the server", func() bool {
		n, err := server.Do("EXISTS", "tlsratchet:address:"+bank)
		return err == nil && n == "1"
	})
	stripped := "kind=stripped; identity=address:" + bank
	mx2.has(mx2.delivered(mx2.bank(bank, plain()), mail("stripped at mx2")), stripped)
	mx3.has(mx3.delivered(mx3.bank(bank, plain()), mail("stripped at mx3")), stripped)
	mx2.has(mx2.operator("peer", "show", "--history", mx2.daemon.history, bank), bank)

	// Unpinned at mx1 while mx3 is cut off: the next session at mx2 passes.
	net3.Partition()
	for _, name := range []string{bank, "bank.example"} {
		mx1.operator("peer", "unpin", "--history", mx1.daemon.history, "--why", "they moved", name)
	}
	if got := mx2.delivered(mx2.bank(bank, plain()), mail("unpinned at mx2")); got != "" {
		t.Errorf("mx2 holds what mx1 unpinned: %s", got)
	}
	mx3.has(mx3.delivered(mx3.bank(bank, plain()), mail("cut off")), stripped)
	mx3.daemon.wait("the shared server does not answer")

	// mx3 is back with the old pin: it stays unpinned, everywhere.
	net3.Heal()
	mx3.daemon.wait("the shared server answers again")
	for _, m := range []mx{mx3, mx2, mx1} {
		if got := m.delivered(m.bank(bank, plain()), mail("unpinned for all")); got != "" {
			t.Errorf("the pin is back: %s", got)
		}
	}
	for _, m := range []mx{mx1, mx2, mx3} {
		m.has(m.operator("peers", "--history", m.daemon.history), bank)
	}
}

// A server that is not there costs nobody a mail or a verdict.
func TestSharedServerAway(t *testing.T) {
	m := newMX(t, "valkey://127.0.0.1:1")
	m.daemon.wait("the shared server does not answer")
	m.delivered(m.bank("192.0.2.81", m.tls12()), mail("without a server"))
	m.has(m.delivered(m.bank("192.0.2.81", plain()), mail("stripped without a server")), "kind=stripped; identity=address:192.0.2.81")
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not in 15 s", what)
		}
	}
}
