// Package sendmail_test tries the daemon at a Sendmail: what becomes of our header,
// our 451 and our quarantine there, and what the log lacks. It needs root and
// addresses of a network of its own, so it runs only with -sendmail, in the chroot
// of test/versions.
package sendmail_test

import (
	"context"
	"crypto/tls"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tlsratchet/test/posttest"
)

var sendmail = flag.Bool("sendmail", false, "run a Sendmail at 192.0.2.1:25")

// Two peers have an action of their own; for others it is a header.
const config = `spf = "off"
[outbound]
listen = []
[status]
listen = "off"
[policy]
pin_after_days = 1
[[peer]]
network = "192.0.2.11/32"
action = "tempfail"
[[peer]]
network = "192.0.2.12/32"
action = "quarantine"
`

// mc is Sendmail's configuration: all mail stays in the queue.
const mc = "include(`/usr/share/sendmail/cf/m4/cf.m4')dnl\n" +
	"OSTYPE(`debian')dnl\n" +
	"FEATURE(`no_default_msa')dnl\n" +
	"FEATURE(`accept_unresolvable_domains')dnl\n" +
	"DAEMON_OPTIONS(`Name=MTA, Family=inet, Addr=192.0.2.1, Port=25')dnl\n" +
	"define(`confDOMAIN_NAME', `mail.here.example')dnl\n" +
	"LOCAL_DOMAIN(`here.example')dnl\n" +
	"define(`QUEUE_DIR', `@/queue')dnl\n" +
	"define(`confPID_FILE', `@/sendmail.pid')dnl\n" +
	"define(`confREFUSE_LA', `10000')dnl\n" + // a busy machine is no reason to refuse
	"define(`confDELIVERY_MODE', `queueonly')dnl\n" +
	"define(`confSERVER_CERT', `@/cert.pem')dnl\n" +
	"define(`confSERVER_KEY', `@/key.pem')dnl\n" +
	"define(`confCACERT', `@/cert.pem')dnl\n" +
	"define(`confCACERT_PATH', `@')dnl\n" +
	"INPUT_MAIL_FILTER(`tlsratchet', `S=local:@/tlsratchet.sock, T=C:2s;S:5s;R:5s;E:10s')dnl\n" +
	"MAILER(`local')dnl\n" +
	"MAILER(`smtp')dnl\n"

// Verdicts, replies and log lines are the same as at Postfix. A client certificate counts where Sendmail trusts it.
func TestSendmail(t *testing.T) {
	if !*sendmail {
		t.Skip("make versions runs it, in a chroot")
	}
	h := newHost(t)
	peers := []string{"192.0.2.10", "192.0.2.11", "192.0.2.12"}
	for _, peer := range peers {
		if reply := h.send(peer, true); !reply.OK() {
			t.Errorf("%s over TLS: %s", peer, reply)
		}
		h.wait(peer, "peers", "--pinned")
	}
	for i, want := range []string{"250 2.0.0", "451 4.7.1 192.0.2.11: TLS required: ", "250 2.0.0"} {
		if reply := h.send(peers[i], false); !strings.HasPrefix(reply.String(), want) {
			t.Errorf("%s in clear: %s, want %s", peers[i], reply, want)
		}
	}
	const files = 5 // all but the refused one
	marked, held := h.queue("*", "X-TLS-Ratchet: downgrade; kind=stripped"), h.queue("hf*", "\nqstripped: 192.0.2.12, ")
	if all := h.queue("[qh]f*", ""); all != files || marked != 2 || held != 1 {
		t.Errorf("%d messages in the queue, %d with our header, %d quarantined", all, marked, held)
	}
	if log := h.read("log"); strings.Count(log, "msg=downgrade") != len(peers) || strings.Count(log, "queue_id=") != marked {
		t.Errorf("the log has not all downgrades, or not the queue ids of those that were taken")
	}
	// A certificate of the same names, from whoever wants to be the bank.
	var err error
	if h.cert, err = posttest.SelfSigned("mail.here.example"); err != nil {
		t.Fatal(err)
	}
	h.send("192.0.2.13", true)
	for line := range strings.Lines(h.wait(`address:192.0.2.13"`, "export")) {
		trusted := strings.Contains(line, `"certificate":"1"`)
		if strings.Contains(line, `"address:`) && trusted == strings.Contains(line, `address:192.0.2.13"`) {
			t.Errorf("a certificate is trusted: %t: %s", trusted, line)
		}
	}
}

// host is a Sendmail with our daemon.
type host struct {
	t    *testing.T
	dir  string
	cert tls.Certificate
}

func newHost(t *testing.T) *host {
	dir, err := os.MkdirTemp("/run", "sendmail") // no socket below /tmp: it is writable to all
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := &host{t: t, dir: dir}
	for name, text := range map[string]string{"tlsratchet.toml": config, "sendmail.mc": strings.ReplaceAll(mc, "@", h.dir)} {
		if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h.run("mkdir", "-m", "700", h.dir+"/queue")
	h.run("go", "build", "-o", h.dir+"/tlsratchet", "tlsratchet/cmd/tlsratchet")
	h.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mail.here.example", "-keyout", h.dir+"/key.pem", "-out", h.dir+"/cert.pem")
	h.run("sh", "-c", `m4 "$0/sendmail.mc" >"$0/sendmail.cf" && chmod 600 "$0/key.pem"`, h.dir)
	if h.cert, err = tls.LoadX509KeyPair(h.dir+"/cert.pem", h.dir+"/key.pem"); err != nil {
		t.Fatal(err)
	}
	h.start(h.dir+"/tlsratchet", "serve", "--config", h.dir+"/tlsratchet.toml", "--listen", "unix:"+h.dir+"/tlsratchet.sock", "--history", h.dir+"/history.db")
	h.wait("", "peers")
	h.start("sendmail", "-bD", "-C", h.dir+"/sendmail.cf")
	return h
}

func (h *host) run(name string, args ...string) {
	h.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		h.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// start starts a program, whose messages go to the log, until the end of the test.
func (h *host) start(name string, args ...string) {
	h.t.Helper()
	log, err := os.OpenFile(h.dir+"/log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		h.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // by a signal
		if h.t.Failed() {
			h.t.Logf("%s:\n%s", name, h.read("log"))
		}
	})
}

func (h *host) read(name string) string {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, name))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

// wait waits until the output of a command has a text, and returns it.
func (h *host) wait(text string, args ...string) (out string) {
	h.t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		cmd := exec.Command(h.dir+"/tlsratchet", args...)
		cmd.Env = append(os.Environ(), "TLSRATCHET_HISTORY="+h.dir+"/history.db")
		b, err := cmd.CombinedOutput() // an error until the daemon listens
		if out = string(b); err == nil && strings.Contains(out, text) {
			return out
		}
	}
	h.t.Fatalf("tlsratchet %s has no %q:\n%s", strings.Join(args, " "), text, out)
	return ""
}

// send sends a message from an address, in clear or with TLS and the client
// certificate, and returns the reply that ended it.
func (h *host) send(from string, encrypted bool) posttest.Reply {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	peer := posttest.Peer{Server: "192.0.2.1:25", Source: from, HELO: "mx.bank.example"}
	if encrypted {
		peer.TLS = &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &h.cert, nil }}
	}
	c, err := peer.Connect(ctx)
	for ; err != nil && ctx.Err() == nil; c, err = peer.Connect(ctx) { // Sendmail starts
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	steps := []func() (posttest.Reply, error){
		func() (posttest.Reply, error) { return c.Mail("ann@bank.example") },
		func() (posttest.Reply, error) { return c.Rcpt("root@here.example") },
		func() (posttest.Reply, error) { return c.Data([]string{"Subject: hello"}, "hello\n") },
	}
	var reply posttest.Reply
	for _, step := range steps {
		if reply, err = step(); err != nil {
			h.t.Fatal(err)
		} else if !reply.OK() {
			break
		}
	}
	return reply
}

// queue returns how many files of a pattern in the queue have a text.
func (h *host) queue(pattern, text string) (n int) {
	files, err := filepath.Glob(filepath.Join(h.dir, "queue", pattern))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range files {
		if strings.Contains(h.read("queue/"+filepath.Base(f)), text) {
			n++
		}
	}
	return n
}
