package e2e

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"tlsratchet/test/apt"
	"tlsratchet/test/nsd"
	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
)

// stsResolver is Debian's resolver for MTA-STS (RFC 8461).
var stsResolver = apt.Set{
	Folder: "postfix-mta-sts-resolver", Packages: []string{"postfix-mta-sts-resolver"},
	Program: "usr/bin/python3", Args: []string{"-c", "import postfix_mta_sts_resolver.daemon"},
}

// TestOutboundMTASTS: with postfix-mta-sts-resolver in front of us its answer wins,
// and ours is for the others. When it is dead, mail waits, by its table and not by
// ours.
func TestOutboundMTASTS(t *testing.T) {
	s, addrs := newReceivers(t, map[string][]string{
		"good.test": {"mx.good.test"}, "other.test": {"mx.other.test"}, "bank.test": {"mx.bank.test"}, "new.test": {"mx.new.test"},
	})
	zone := zoneOf(addrs)
	for domain, mx := range map[string]string{"good.test": "mx.good.test", "other.test": "elsewhere.test"} {
		zone += fmt.Sprintf("_mta-sts.%s. TXT \"v=STSv1; id=1\"\nmta-sts.%[1]s. A %s\n", domain, s.publish(domain, mx))
	}
	resolver, sts := posttest.Loopback(), posttest.Loopback()
	nsd.Signed(t, resolver, "test", zone)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, s.ca.PEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	s.in = newSender(t, resolver, "smtp_tls_CAfile = "+ca, "minimal_backoff_time = 1s", "queue_run_delay = 1s", "maximal_backoff_time = 2s",
		"smtp_tls_policy_maps = socketmap:inet:"+sts+":8461:postfix, memcache:${config_directory}/tlsratchet-policy.cf")
	stop := startSTS(t, resolver, sts, ca)
	serve(t, s.in.MilterSocket(), taught(t, tlsstate.TLS12, 30, "destination:good.test", "destination:other.test", "destination:bank.test"), s.config(hold))
	s.sinks["mx.bank.test"].Set(posttest.Behaviour{NoOffer: true})
	s.sinks["mx.new.test"].Set(posttest.Behaviour{NoOffer: true})

	for _, tt := range []struct{ domain, want, line string }{
		{"good.test", "TLSv1.3", "Verified TLS connection established to mx.good.test"},
		{"other.test", "deferred", `to=<a@other.test>.* dsn=4\.7\.5, status=deferred \(Server certificate not verified`},
		{"bank.test", "deferred", `to=<a@bank.test>.* dsn=4\.7\.4, status=deferred \(TLS is required, but was not offered`},
		{"new.test", "clear", "to=<a@new.test>"},
	} {
		if got := s.fate("a@" + tt.domain); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.domain, got, tt.want)
		}
		s.line(tt.line)
	}

	stop()
	s.refresh()
	if got := s.fate("dead@new.test"); got != "deferred" {
		t.Errorf("with a dead resolver: %s", got)
	}
	s.line(`to=<dead@new.test>.* dsn=4\.7\.5, status=deferred`)
	startSTS(t, resolver, sts, ca)
	s.arrives("dead@new.test")
}

// publish serves the MTA-STS policy of a domain, and returns its address.
func (s *outbox) publish(domain, mx string) (addr string) {
	s.t.Helper()
	addr = posttest.Loopback()
	l, err := net.Listen("tcp", net.JoinHostPort(addr, "443"))
	if err != nil {
		s.t.Fatal(err)
	}
	cert, err := s.ca.Issue("mta-sts." + domain)
	if err != nil {
		s.t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/mta-sts.txt" {
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprintf(w, "version: STSv1\nmode: enforce\nmx: %s\nmax_age: 86400\n", mx)
		}
	}))
	server.Listener.Close()
	server.Listener, server.TLS = l, &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	s.t.Cleanup(server.Close)
	return addr
}

// startSTS runs postfix-mta-sts-resolver, in a mount namespace in which the name
// server is ours: it knows no setting for that.
func startSTS(t *testing.T, resolver, addr, ca string) (stop func()) {
	t.Helper()
	root, err := apt.Root(stsResolver)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	conf, resolv := filepath.Join(dir, "sts.yml"), filepath.Join(dir, "resolv.conf")
	for path, text := range map[string]string{
		conf:   "host: " + addr + "\ncache:\n  type: internal\n",
		resolv: "nameserver " + resolver + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := apt.Command(root, stsResolver.Program, filepath.Join(root, "usr/bin/mta-sts-daemon"), "-c", conf)
	cmd.Args = append([]string{"unshare", "-m", "sh", "-c", `mount --bind "$0" /etc/resolv.conf && exec "$@"`, resolv, cmd.Path}, cmd.Args[1:]...)
	if cmd.Path, err = exec.LookPath("unshare"); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+ca)
	d := start(t, cmd, "Server started")
	stop = sync.OnceFunc(func() { d.stop(syscall.SIGKILL) })
	t.Cleanup(stop)
	return stop
}
