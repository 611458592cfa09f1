package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
)

// outbox is a Postfix that sends, and those who receive: MX hosts on loopback
// addresses of their own, found by DNS.
type outbox struct {
	t     *testing.T
	in    *posttest.Instance
	ca    *posttest.CA              // of the hosts
	sinks map[string]*posttest.Sink // by host
	// resolver is the name server's address.
	resolver string
}

// newOutbox runs a sending Postfix with the lines of contrib/postfix, and an
// [posttest.Sink] for each MX host of the domains.
func newOutbox(t *testing.T, mx map[string][]string, main ...string) *outbox {
	t.Helper()
	s, addrs := newReceivers(t, mx)
	dns, err := posttest.NewDNS(mx, addrs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dns.Close() })
	s.resolver = dns.Addr()
	s.in = newSender(t, s.resolver, main...)
	return s
}

// newReceivers runs an [posttest.Sink] for each MX host of the domains, and returns
// their addresses.
func newReceivers(t *testing.T, mx map[string][]string) (s *outbox, addrs map[string]string) {
	t.Helper()
	ca, err := posttest.NewCA("receivers")
	if err != nil {
		t.Fatal(err)
	}
	s, addrs = &outbox{t: t, ca: ca, sinks: map[string]*posttest.Sink{}}, map[string]string{}
	for _, hosts := range mx {
		for _, host := range hosts {
			if addrs[host] != "" {
				continue
			}
			addrs[host] = posttest.Loopback()
			sink, err := posttest.NewSink(net.JoinHostPort(addrs[host], "25"), host, ca)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { sink.Close() })
			s.sinks[host] = sink
		}
	}
	return s, addrs
}

// newSender runs a Postfix that finds MX hosts by a name server.
func newSender(t *testing.T, resolver string, main ...string) *posttest.Instance {
	t.Helper()
	return newPostfix(t, posttest.Options{
		Parts: []string{"main.cf.tls", "main.cf.outbound"}, Networks: []string{"127.0.0.0/8"}, Resolver: resolver,
		Main: append([]string{"smtp_address_preference = ipv4", "inet_protocols = ipv4"}, main...),
	})
}

// send gives a message to Postfix.
func (s *outbox) send(to ...string) {
	s.t.Helper()
	if err := give(s.in, to...); err != nil {
		s.t.Fatal(err)
	}
}

func give(in *posttest.Instance, to ...string) error {
	return giveMail(in, posttest.Mail{From: "ann@ours.example", To: to, Header: []string{"Subject: test"}, Body: "hello\r\n"})
}

func giveMail(in *posttest.Instance, mail posttest.Mail) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c, err := posttest.Peer{Server: in.Addr(0)}.Connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	replies, err := c.Send(mail)
	if err == nil && !replies[len(replies)-1].Reply.OK() {
		err = fmt.Errorf("%s: %s", replies[len(replies)-1].Command, replies[len(replies)-1].Reply)
	}
	return err
}

// arrives waits for a recipient's message at any host, and returns the version of
// TLS that it came with and the host.
func (s *outbox) arrives(to string) (version uint16, host string) {
	s.t.Helper()
	if !within(func() bool {
		for h, sink := range s.sinks {
			for _, r := range sink.Received() {
				if r.Recipient == to {
					version, host = r.Version, h
					return true
				}
			}
		}
		return false
	}) {
		lines, _ := s.in.Log().Lines()
		s.t.Fatalf("%s never arrived; the log ends:\n%s", to, strings.Join(lines[max(0, len(lines)-25):], "\n"))
	}
	return version, host
}

// line waits for a line of Postfix's log.
func (s *outbox) line(pattern string) string {
	s.t.Helper()
	line, err := s.in.Log().Wait(limit(s.t), regexp.MustCompile(pattern))
	if err != nil {
		s.t.Fatal(err)
	}
	return line
}

// outboundConfig is the configuration of a daemon that serves this Postfix.
func (s *outbox) config(more string) string {
	return fmt.Sprintf("[outbound]\nlisten = [%q]\nlog = %q\npostfix = [%q]\n%s\n[selfcheck]\naddress = \"off\"\n[status]\nlisten = \"off\"\n",
		"unix:"+s.in.PolicySocket(), s.in.Maillog(), filepath.Join(s.in.Dir(), "etc"), more)
}

// answerer is a server on the policy socket that does one thing with each
// connection.
func (s *outbox) answerer(do func(net.Conn)) (stop func()) {
	s.t.Helper()
	l, err := net.Listen("unix", s.in.PolicySocket())
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chmod(s.in.PolicySocket(), 0o666); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); do(c) }()
		}
	}()
	return func() { l.Close() }
}

// reply answers each line with a text.
func reply(text string) func(net.Conn) {
	return func(c net.Conn) {
		in := bufio.NewReader(c)
		for {
			if _, err := in.ReadString('\n'); err != nil {
				return
			}
			io.WriteString(c, text)
		}
	}
}

// failOpen is how many seconds a delivery that nobody answers for may take: two
// keys of a second each, and one for the machine.
const failOpen = 3.0

// failsOpen sends messages until one takes no longer than failOpen. A delay that is
// Postfix's own would be in each of them; one that the machine causes is not.
func (s *outbox) failsOpen(domain string) {
	s.t.Helper()
	var all []float64
	if !within(func() bool {
		to := fmt.Sprintf("%s%d@%s", path.Base(s.t.Name()), len(all), domain)
		s.send(to)
		if v, _ := s.arrives(to); v != 0 {
			s.t.Errorf("version %x", v)
		}
		all = append(all, s.took(to))
		return all[len(all)-1] <= failOpen
	}) {
		s.t.Errorf("each delivery took more than %.0f s: %.1f", failOpen, all)
	}
}

// took returns how many seconds a delivery took to connect and to send, by
// Postfix's own clock.
func (s *outbox) took(to string) float64 {
	s.t.Helper()
	line := s.line("to=<" + regexp.QuoteMeta(to) + ">.* status=sent")
	var queued, active, connect, send float64
	_, rest, _ := strings.Cut(line, "delays=")
	if _, err := fmt.Sscanf(rest, "%f/%f/%f/%f", &queued, &active, &connect, &send); err != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
	return connect + send
}

// TestOutboundFailsOpen: whatever becomes of tlsratchet, mail is delivered. Each
// row is one of what was promised of memcache_table(5).
func TestOutboundFailsOpen(t *testing.T) {
	s := newOutbox(t, map[string][]string{"bank.test": {"mx.bank.test"}})
	s.sinks["mx.bank.test"].Set(posttest.Behaviour{NoOffer: true})
	for _, tt := range []struct {
		name string
		do   func(net.Conn) // nil: nobody listens
	}{
		{"no socket", nil},
		{"not found", reply("END\r\n")},
		{"closes at once", func(net.Conn) {}},
		{"closes after the request", func(c net.Conn) { c.Read(make([]byte, 100)) }},
		{"SERVER_ERROR", reply("SERVER_ERROR out of order\r\n")},
		{"garbage", reply("\x00\xff no memcached\r\n")},
		{"half an answer", reply("VALUE bank.test 0 7\r\nencr")},
		{"silent", func(c net.Conn) { io.Copy(io.Discard, c) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.do != nil {
				defer s.answerer(tt.do)()
			}
			s.t = t
			s.failsOpen("bank.test")
			s.refresh()
		})
	}
}

// refresh ends the processes of smtp(8), which hold connections.
func (s *outbox) refresh() {
	s.t.Helper()
	if err := s.in.Reload(limit(s.t)); err != nil {
		s.t.Fatal(err)
	}
}

// TestOutboundDaemonStoppedAndDead: a process that is stopped costs two seconds,
// a dead one nothing; and with it mail is held.
func TestOutboundDaemonStoppedAndDead(t *testing.T) {
	s := newOutbox(t, map[string][]string{"bank.test": {"mx.bank.test"}})
	history := taught(t, tlsstate.TLS12, 30, "destination:bank.test")
	d := serve(t, s.in.MilterSocket(), history, s.config("action = \"hold\""))
	sink := s.sinks["mx.bank.test"]

	s.send("tls@bank.test")
	if v, _ := s.arrives("tls@bank.test"); v != tls.VersionTLS13 {
		t.Errorf("with TLS: %x", v)
	}
	sink.Set(posttest.Behaviour{NoOffer: true})
	s.send("held@bank.test")
	s.line(`to=<held@bank\.test>.* dsn=4\.7\.4, status=deferred \(TLS is required, but was not offered`)
	held := d.wait("msg=\"mail held\"")
	for _, want := range []string{"destination=bank.test", "host=mx.bank.test", "reason=\"STARTTLS was not offered\"", "action=hold", "pin=TLSv1.2", "days=31", "release="} {
		if !strings.Contains(held, want) {
			t.Errorf("no %s in %s", want, held)
		}
	}
	if n := len(sink.Received()); n != 1 {
		t.Errorf("%d messages arrived, want the first alone", n)
	}

	for _, tt := range []struct {
		name string
		end  func()
	}{{"stopped", d.freeze}, {"dead", func() { d.stop(syscall.SIGKILL) }}} {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			tt.end()
			s.failsOpen("bank.test")
		})
	}
}

// TestOutboundSocketmap: by the other protocol mail is held as well, and waits too
// where the daemon is dead.
func TestOutboundSocketmap(t *testing.T) {
	s := newOutbox(t, map[string][]string{"bank.test": {"mx.bank.test"}, "new.test": {"mx.new.test"}},
		"smtp_tls_policy_maps = socketmap:unix:tlsratchet/policy.sock:tls", "minimal_backoff_time = 1s", "maximal_backoff_time = 2s", "queue_run_delay = 1s")
	history := taught(t, tlsstate.TLS12, 30, "destination:bank.test")
	d := serve(t, s.in.MilterSocket(), history, s.config(hold))
	s.sinks["mx.bank.test"].Set(posttest.Behaviour{NoOffer: true})
	s.sinks["mx.new.test"].Set(posttest.Behaviour{NoOffer: true})
	if got := s.fate("a@new.test"); got != "clear" {
		t.Errorf("a stranger: %s", got)
	}
	s.send("a@bank.test")
	s.line(`to=<a@bank\.test>.* dsn=4\.7\.4, status=deferred \(TLS is required, but was not offered`)
	d.stop(syscall.SIGKILL)
	s.refresh()
	s.send("b@new.test")
	s.line(`to=<b@new\.test>.* dsn=4\.7\.5, status=deferred`)
	serve(t, s.in.MilterSocket(), history, s.config(hold))
	s.arrives("b@new.test")
}
