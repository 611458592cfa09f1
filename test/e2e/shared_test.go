package e2e

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tlsratchet/test/chaos/servers"
	"tlsratchet/test/posttest"
)

// mx is one of several MX hosts of a domain.
type mx struct {
	world
	daemon *daemon
}

// newMX returns a host that shares its memory, the file history, by lines of
// config, on a listener where TLS was seen.
func newMX(t *testing.T, shared, history string, flags ...string) mx {
	t.Helper()
	in := newPostfix(t, posttest.Options{})
	m := mx{world: world{T: t, Instance: in}}
	m.daemon = serve(t, in.MilterSocket(), history, shared+"[status]\nlisten = \"off\"\n", flags...)
	stranger := m.bank("203.0.113.99", m.tls13())
	stranger.XCLIENT[0] = "NAME=mail.stranger.example"
	m.delivered(stranger, mail("offers TLS"))
	return m
}

// at shares by the server at a URL.
func at(url string) string { return fmt.Sprintf("shared = %q\n", url) }

// newServer returns a real server, and a network to it that can go silent.
func newServer(t *testing.T, kind servers.Kind) (*servers.Server, *servers.Proxy) {
	t.Helper()
	server, err := servers.Start(kind, t.TempDir())
	if err != nil {
		t.Fatalf("this scenario needs a real %s: %v", kind, err)
	}
	t.Cleanup(server.Stop)
	network, err := servers.NewProxy(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(network.Close)
	return server, network
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
	server, net3 := newServer(t, servers.Valkey)
	first := []string{"--pin-after-days", "1"}
	mx1, mx2, mx3 := newMX(t, at(server.URL()), "", first...), newMX(t, at(server.URL()), "", first...), newMX(t, at(net3.URL()), "", first...)

	// Learned at mx1, stripped at mx2, and at mx3.
	mx1.delivered(mx1.bank(bank, mx1.tls12()), mail("learned"))
	eventually(t, "the pin on the server", func() bool {
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
	m := newMX(t, at("valkey://127.0.0.1:1"), "", "--pin-after-days", "1")
	m.daemon.wait("the shared server does not answer")
	m.delivered(m.bank("192.0.2.81", m.tls12()), mail("without a server"))
	m.has(m.delivered(m.bank("192.0.2.81", plain()), mail("stripped without a server")), "kind=stripped; identity=address:192.0.2.81")
}

// Set up by the letter of docs/several-mx.md, with TLS and a user of its own, and
// a password that is wrong at first.
func TestSharedAsDocumented(t *testing.T) {
	ca, err := posttest.NewCA("shared")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	roots, password := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "password")
	write(t, roots, string(ca.PEM()))
	cert, key := certificate(t, ca, dir)
	conf, lines := documented(t, "```\n", "bind "), documented(t, "```toml\n", "shared = ")
	for _, kind := range servers.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			port := freePort(t)
			server, err := servers.Start(kind, t.TempDir(), settings(conf, map[string]string{
				"/etc/valkey/cert.pem": cert, "/etc/valkey/key.pem": key, "6379": port, ">PASSWORD": ">correct",
			})...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(server.Stop)
			if _, err := server.Do("PING"); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH") {
				t.Errorf("somebody else: %v", err)
			}
			shared := strings.NewReplacer("valkey.example:6379", "localhost:"+port,
				"/etc/tlsratchet/shared.password", password, "/etc/tlsratchet/ca.pem", roots).Replace(lines)
			const bank = "192.0.2.84"
			write(t, password, "wrong\n")
			mx1 := newMX(t, shared, kept(t, pinnedUntil(1), "address:"+bank))
			mx1.has(mx1.daemon.wait("the shared server does not answer"), "WRONGPASS")
			write(t, password, "correct\n")
			mx1.daemon.wait("the shared server answers again")
			mx2 := newMX(t, shared, "")
			eventually(t, "what mx1 knows at mx2", func() bool {
				return strings.Contains(mx2.operator("peers", "--history", mx2.daemon.history), bank)
			})
			mx2.has(mx2.delivered(mx2.bank(bank, plain()), mail("stripped at mx2")), "kind=stripped; identity=address:"+bank)
		})
	}
}

// documented returns the block of the page between a fence and the next, that
// begins so.
func documented(t *testing.T, fence, begin string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/several-mx.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(page), "\n   ", "\n") // it stands in a list
	_, rest, found := strings.Cut(text, fence+begin)
	block, _, closed := strings.Cut(rest, "\n```")
	if !found || !closed {
		t.Fatalf("the page has no %q", begin)
	}
	return begin + block + "\n"
}

// settings are the lines of a server's configuration as on its command line, but
// for where it listens without TLS: that is for the test to say.
func settings(conf string, replace map[string]string) (args []string) {
	for line := range strings.Lines(conf) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "bind" || words[0] == "port" {
			continue
		}
		for i, word := range words {
			if is, ok := replace[word]; ok {
				words[i] = is
			}
		}
		args = append(append(args, "--"+words[0]), words[1:]...)
	}
	return args
}

// certificate writes one for localhost and its key.
func certificate(t *testing.T, ca *posttest.CA, dir string) (certFile, keyFile string) {
	t.Helper()
	cert, err := ca.Issue("localhost")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})))
	write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	return certFile, keyFile
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(freeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}
