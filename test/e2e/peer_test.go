package e2e

import (
	"crypto/tls"
	"path/filepath"
	"strings"
	"testing"

	"tlsratchet/test/posttest"
)

// world is a Postfix and the peers that send to it.
type world struct {
	*testing.T
	*posttest.Instance
	// policy: Postfix asks the policy service, and no milter.
	policy bool
}

// serve starts tlsratchet where Postfix looks for it.
func (w world) serve(history, config string, flags ...string) *daemon {
	w.Helper()
	if w.policy {
		config += "\n[policy_service]\nlisten = [\"unix:" + w.policySocket() + "\"]\n"
	}
	return serve(w.T, w.MilterSocket(), history, config, flags...)
}

// policySocket is where contrib/postfix has the policy service.
func (w world) policySocket() string {
	return filepath.Join(filepath.Dir(w.MilterSocket()), "policy-service.sock")
}

// plain, tls12 and tls13 are how a peer sends.
func plain() *tls.Config { return nil }

func (w world) tls12() *tls.Config { return w.version(tls.VersionTLS12) }
func (w world) tls13() *tls.Config { return w.version(tls.VersionTLS13) }

func (w world) version(v uint16) *tls.Config {
	c := w.ClientTLS()
	c.MinVersion, c.MaxVersion = v, v
	return c
}

// bank is mx1.bank.example, at an address of the test's own choice.
func (w world) bank(addr string, config *tls.Config) posttest.Peer {
	return posttest.Peer{
		Server: w.Addr(0), TLS: config,
		XCLIENT: []string{"NAME=mx1.bank.example", "ADDR=" + addr},
	}
}

func (w world) connect(p posttest.Peer) *posttest.Client {
	w.Helper()
	c, err := p.Connect(limit(w.T))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { c.Close() })
	return c
}

func mail(subject string) posttest.Mail {
	return posttest.Mail{
		From: "alice@bank.example", To: []string{"bob@ours.example"},
		Header: []string{"From: alice@bank.example", "Subject: " + subject}, Body: "hello",
	}
}

// send sends a mail in a session of its own and returns the last reply.
func (w world) send(p posttest.Peer, m posttest.Mail) posttest.Reply {
	w.Helper()
	c := w.connect(p)
	exchanges := w.say(c, m)
	if err := c.Quit(); err != nil {
		w.Fatal(err)
	}
	return exchanges[len(exchanges)-1].Reply
}

func (w world) say(c *posttest.Client, m posttest.Mail) []posttest.Exchange {
	w.Helper()
	exchanges, err := c.Send(m)
	if err != nil {
		w.Fatal(err)
	}
	return exchanges
}

// delivered sends a mail, waits for it and returns its X-TLS-Ratchet header,
// unfolded.
func (w world) delivered(p posttest.Peer, m posttest.Mail) string {
	w.Helper()
	if r := w.send(p, m); !r.OK() {
		w.Fatalf("refused: %s", r)
	}
	return w.header(m)
}

func (w world) header(m posttest.Mail) string {
	w.Helper()
	got, err := w.WaitMail(limit(w.T), posttest.Subject(subject(m)))
	if err != nil {
		w.Fatal(err)
	}
	if n := len(got.Header["X-Tls-Ratchet"]); n > 1 {
		w.Errorf("%d headers:\n%s", n, got.Raw)
	}
	return got.Header.Get("X-TLS-Ratchet")
}

func subject(m posttest.Mail) string {
	for _, h := range m.Header {
		if s, ok := strings.CutPrefix(h, "Subject: "); ok {
			return s
		}
	}
	return ""
}

func (w world) has(got, want string) {
	w.Helper()
	if !strings.Contains(got, want) {
		w.Errorf("got %q, want %q in it", got, want)
	}
}
