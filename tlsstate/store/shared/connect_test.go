package shared_test

import (
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tlsratchet/test/chaos/servers"
	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
	"tlsratchet/tlsstate/store/shared"
)

// meets has two hosts meet on a server.
func meets(t *testing.T, url string, o shared.Options) (mx1, mx2 *host) {
	t.Helper()
	o.Prefix, o.Timeout = prefix(), cmp.Or(o.Timeout, patience)
	mx1, mx2 = newHost(t, url, o).up(), newHost(t, url, o).up()
	for i := range 50 {
		mx1.seesDays(peerOf(i), 5)
	}
	mx1.settled()
	for i := range 50 {
		mx2.eventually(url+": held at mx2", func() bool { mx2.Refresh(0, peerOf(i)); return mx2.holds(peerOf(i)) })
	}
	mx2.sees(peerOf(99), today, tlsstate.TLS12)
	mx2.settled()
	mx1.eventually(url+": all 51", func() bool { return mx1.Pull(t.Context()) == nil && mx1.Len() == 51 })
	return mx1, mx2
}

func TestUnixSocket(t *testing.T) {
	for _, kind := range servers.Kinds {
		dir, err := os.MkdirTemp("", "s") // a socket's path is short
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		path := filepath.Join(dir, "sock")
		s := own(t, kind, "--unixsocket", path)
		meets(t, "unix://"+path, shared.Options{})
		meets(t, "unix://"+path+"?db=3", shared.Options{})
		admit(t, s)
		meets(t, "unix://mx@"+path, shared.Options{Password: secret})
	}
}

// documented returns the words that docs/several-mx.md gives a user of its own,
// after its password and keys.
func documented(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/several-mx.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		if rights, ok := strings.CutPrefix(strings.TrimSpace(line), "user tlsratchet on >PASSWORD ~tlsratchet:* "); ok {
			return strings.Fields(rights)
		}
	}
	t.Fatal("the page has no user")
	return nil
}

// admit makes the user mx, with the rights that the docs ask operators to give
// us.
func admit(t *testing.T, s *servers.Server) {
	t.Helper()
	if _, err := s.Do(append([]string{"ACL", "SETUSER", "mx", "on", ">secret", "~test*"}, documented(t)...)...); err != nil {
		t.Fatal(err)
	}
}

func secret() (string, error) { return "secret", nil }

// With the documented rights all works, and nothing that harms others does.
func TestACLUser(t *testing.T) {
	for _, kind := range servers.Kinds {
		s := own(t, kind)
		admit(t, s)
		mx1, _ := meets(t, "valkey://mx@"+s.Addr+"/2", shared.Options{Password: secret})
		if mx1.log.lines("level=") != 0 {
			t.Error("something was logged")
		}
		if _, err := s.Do("AUTH", "mx", "secret"); err != nil {
			t.Fatal(err)
		}
		for _, harm := range []string{"GET other", "FLUSHALL", "CONFIG GET dir", "CLIENT LIST", "CLIENT PAUSE 1000", "ACL LIST", "KEYS *", "SHUTDOWN", "REPLICAOF NO ONE"} {
			if _, err := s.Do(strings.Fields(harm)...); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
				t.Errorf("%s: it may %s: %v", kind, harm, err)
			}
		}
	}
}

// A wrong password at the start: the local memory serves, and says so. Once the
// password is right, no restart is needed.
func TestWrongPassword(t *testing.T) {
	for _, kind := range servers.Kinds {
		s := own(t, kind, "--requirepass", "secret")
		var password atomic.Pointer[string]
		use := func(p string) { password.Store(&p) }
		use("wrong")
		mx1 := newHost(t, s.URL(), shared.Options{Prefix: prefix(), Timeout: patience, Password: func() (string, error) {
			if *password.Load() == "" {
				return "", errors.New("no such file")
			}
			return *password.Load(), nil
		}})
		mx1.seesDays(peerOf(1), 5)
		mx1.eventually("logged", func() bool { return mx1.log.lines("WRONGPASS") == 1 })
		if mx1.Refresh(0, peerOf(1)); !mx1.holds(peerOf(1)) {
			t.Error("the local memory doesn't serve")
		}
		use("")
		use("secret")
		mx1.up()
		if mx1.log.lines("answers again") != 1 || mx1.log.lines("level=ERROR") != 1 {
			t.Error("not logged once each")
		}
	}
}

// A password that changes while the server is in use: the next connection is made
// with the new one, without a restart.
func TestAnotherPassword(t *testing.T) {
	for _, kind := range servers.Kinds {
		s := own(t, kind)
		admit(t, s)
		var password atomic.Pointer[string]
		use := func(p string) { password.Store(&p) }
		use("secret")
		mx1 := newHost(t, s.URL()[:len("valkey://")]+"mx@"+s.Addr, shared.Options{
			Prefix: prefix(), Timeout: patience, Password: func() (string, error) { return *password.Load(), nil },
		}).up()
		for _, change := range []string{"ACL SETUSER mx resetpass >other", "CLIENT KILL USER mx"} {
			if _, err := s.Do(strings.Fields(change)...); err != nil {
				t.Fatal(err)
			}
		}
		mx1.eventually("logged", func() bool { return mx1.log.lines("does not answer") == 1 })
		use("other")
		mx1.seesDays(peerOf(1), 5)
		mx1.up()
	}
}

func TestTLS(t *testing.T) {
	ca, err := posttest.NewCA("shared")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue("localhost")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, certFile, "CERTIFICATE", cert.Certificate[0])
	write(t, keyFile, "PRIVATE KEY", key)
	for _, kind := range servers.Kinds {
		_, port, _ := net.SplitHostPort(freeAddr(t))
		own(t, kind, "--tls-port", port, "--tls-cert-file", certFile, "--tls-key-file", keyFile, "--tls-auth-clients", "no")
		meets(t, "valkeys://localhost:"+port, shared.Options{Roots: ca.Pool()})
		stranger := newHost(t, "rediss://localhost:"+port, patient(prefix()))
		stranger.eventually("logged", func() bool { return stranger.log.lines("certificate") == 1 })
	}
}

func write(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestCluster(t *testing.T) {
	for _, kind := range servers.Kinds {
		nodes, err := servers.StartCluster(kind, t.TempDir())
		for _, n := range nodes {
			t.Cleanup(n.Stop)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes {
			admit(t, n)
		}
		mx1, _ := meets(t, "valkey://mx@"+nodes[0].Addr+"?addr="+nodes[1].Addr+"&addr="+nodes[2].Addr, shared.Options{Password: secret, Timeout: 10 * time.Second})
		away := mx1.Sharing().Away
		nodes[2].Signal(syscall.SIGSTOP) // a third of the peers can't be asked for: only silence shows it
		mx1.sees(peerOf(7), today+1, tlsstate.TLS12)
		for i := range 50 {
			mx1.sees(peerOf(i), today+1, tlsstate.TLS12)
		}
		mx1.eventually("logged", func() bool { return mx1.Sharing().Away > away })
		nodes[2].Signal(syscall.SIGCONT)
		mx1.up()
	}
}

// Sentinel makes a replica master; hosts follow, and send again what it may not
// have got.
func TestSentinel(t *testing.T) {
	for _, kind := range servers.Kinds {
		master, replica := own(t, kind), own(t, kind)
		host, port, _ := net.SplitHostPort(master.Addr)
		if _, err := replica.Do("REPLICAOF", host, port); err != nil {
			t.Fatal(err)
		}
		sentinel, err := servers.StartSentinel(master, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(sentinel.Stop)
		known := func() bool {
			info, err := sentinel.Do("INFO", "sentinel")
			return err == nil && strings.Contains(info, "slaves=1")
		}
		for end := time.Now().Add(patience); !known(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the Sentinel doesn't find the replica")
			}
		}
		admit(t, master)
		admit(t, replica)
		mx1, mx2 := meets(t, "valkey://mx@"+sentinel.Addr+"?master_set=mx", shared.Options{Password: secret})
		sweeps := mx1.Sharing().Sweeps
		info, err := sentinel.Do("INFO", "sentinel")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(info, "address="+replica.Addr+",") { // a stall of the machine was enough
			master = replica
		}
		master.Kill()
		mx1.sees(peerOf(1), today+1, tlsstate.TLS12)
		mx1.eventually("the failover", func() bool { s := mx1.Sharing(); return s.Sweeps > sweeps && s.Taking && s.Answering })
		mx1.settled()
		mx2.up()
		mx2.eventually("the same after the failover", func() bool {
			mx2.Refresh(0, peerOf(1))
			return mx2.knows(peerOf(1)) == mx1.knows(peerOf(1))
		})
	}
}

func TestWrongURL(t *testing.T) {
	for _, url := range []string{"", "http://127.0.0.1", "valkey://127.0.0.1/x", "valkey://127.0.0.1/1/2", "://"} {
		local := store.NewMemory(10)
		if s, err := shared.New(local, shared.Options{URL: url}); err == nil {
			s.Close()
			t.Errorf("%q is no error", url)
		}
		if _, err := local.Load(peerOf(1)); err != nil {
			t.Errorf("%q: the local store is closed: %v", url, err)
		}
	}
}
