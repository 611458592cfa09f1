package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
)

// TestBothDoors: where Postfix calls the milter and asks the policy service too,
// a message is judged, marked and counted once.
func TestBothDoors(t *testing.T) {
	in := newPostfix(t, posttest.Options{Parts: []string{"main.cf.tls", "main.cf.tlsratchet", "main.cf.policy"}})
	w := world{T: t, Instance: in, policy: true}
	d := w.serve("", all, "--pin-after-days", "1")
	w.has(w.delivered(w.bank("192.0.2.60", w.tls13()), mail("new by one door")), "new; identity=address:192.0.2.60")
	w.has(w.delivered(w.bank("192.0.2.60", plain()), mail("stripped by one door")), "kind=stripped")
	c := w.connect(w.bank("192.0.2.60", plain()))
	for _, subject := range []string{"stripped again 1", "stripped again 2"} {
		w.say(c, mail(subject))
		w.has(w.header(mail(subject)), "kind=stripped")
	}
	if h := d.remembered("address:192.0.2.60"); h.Seen[tlsstate.Plaintext] != 1 {
		t.Errorf("%+v", h)
	}
	if lines := d.downgrades(); len(lines) != 3 {
		t.Errorf("%d lines, want 3: %q", len(lines), lines)
	}
}

// TestDoorsOfTwoPorts: where one port of Postfix calls the milter and another one
// asks the policy service alone, a client that uses its port again is judged at both.
func TestDoorsOfTwoPorts(t *testing.T) {
	in := newPostfix(t, posttest.Options{
		Parts:     []string{"main.cf.tls", "main.cf.tlsratchet", "main.cf.policy"},
		Listeners: []posttest.Listener{{}, {Options: []string{"smtpd_milters="}}},
	})
	w := world{T: t, Instance: in, policy: true}
	w.serve("", all, "--pin-after-days", "1")
	at := func(server int, config *tls.Config) posttest.Peer {
		p := w.bank("192.0.2.64", config)
		p.Server, p.XCLIENT = w.Addr(server), append(p.XCLIENT, "PORT=4711")
		return p
	}
	w.has(w.delivered(at(0, w.tls13()), mail("at the milter")), "new; identity=address:192.0.2.64")
	w.has(w.delivered(at(1, plain()), mail("at the policy service")), "kind=stripped")
	w.has(w.delivered(at(0, plain()), mail("at the milter again")), "kind=stripped")
}

// TestQuotedSenders: a row by sender counts at both doors, whatever is quoted in the
// address.
func TestQuotedSenders(t *testing.T) {
	for _, part := range []string{"main.cf.tlsratchet", "main.cf.policy"} {
		in := newPostfix(t, posttest.Options{Parts: []string{"main.cf.tls", part}})
		w := world{T: t, Instance: in, policy: part == "main.cf.policy"}
		w.serve("", "[[peer]]\nsender = \"partner.example\"\nleast = \"TLSv1.2\"\naction = \"reject\"\n")
		for i, tt := range []struct {
			from    string
			refused bool
		}{
			{"a@partner.example", true}, {`"a(b"@partner.example`, true}, {`"a\"(b"@partner.example`, true}, {`""@partner.example`, true},
			{`"a<b@other.example>"@partner.example`, true}, {`"a(b%partner.example"`, true}, {`"a<b@partner.example>"@other.example`, false},
		} {
			m := mail(fmt.Sprint("quoted ", i))
			m.From = tt.from
			if r := w.send(w.bank("192.0.2.65", plain()), m); (r.Code == 550) != tt.refused {
				t.Errorf("%s, from %s: %s", part, tt.from, r)
			}
		}
	}
}

// TestPolicyForged: by PREPEND our header stands above Postfix's own Received,
// where no sender can write, and forged copies below it stay.
func TestPolicyForged(t *testing.T) {
	in := newPostfix(t, posttest.Options{Parts: []string{"main.cf.tls", "main.cf.policy"}})
	w := world{T: t, Instance: in, policy: true}
	w.serve("", all, "--pin-after-days", "1")
	m := mail("forged")
	m.Header = append([]string{"X-TLS-Ratchet: steady"}, m.Header...)
	if r := w.send(w.bank("192.0.2.61", w.tls13()), m); !r.OK() {
		t.Fatal(r)
	}
	got, err := w.WaitMail(limit(t), posttest.Subject("forged"))
	if err != nil {
		t.Fatal(err)
	}
	raw := string(got.Raw)
	ours, received, forged := strings.Index(raw, "X-TLS-Ratchet: new;"), strings.Index(raw, "Received:"), strings.Index(raw, "X-TLS-Ratchet: steady")
	if ours < 0 || ours > received || forged < received {
		t.Errorf("ours at %d, Received at %d, the forged one at %d:\n%s", ours, received, forged, raw)
	}
}

// TestPolicyDaemonStoppedAndDead: mail of a peer that would be refused passes
// where the policy service hangs, is gone, is silent or talks nonsense, and comes
// without our header.
func TestPolicyDaemonStoppedAndDead(t *testing.T) {
	in := newPostfix(t, posttest.Options{Parts: []string{"main.cf.tls", "main.cf.policy"}})
	w := world{T: t, Instance: in, policy: true}
	d := w.serve("", all, "--pin-after-days", "1", "--action", "reject")
	w.has(w.delivered(w.bank("192.0.2.62", w.tls13()), mail("as it is")), "new;")
	if r := w.send(w.bank("192.0.2.62", plain()), mail("stripped")); r.Code != 550 {
		t.Errorf("stripped: %s", r)
	}
	passes := func(when string) {
		t.Helper()
		if got := w.delivered(w.bank("192.0.2.62", plain()), mail(when)); got != "" {
			t.Errorf("%s: header %q", when, got)
		}
	}
	d.freeze()
	passes("stopped")
	d.stop(syscall.SIGKILL)
	passes("dead")
	for i, answer := range []string{"", "\n\n", "action=\n\n", "garbage\n\n", "action=551 elsewhere", "\x00\xff=\n\n", "HTTP/1.1 400 Bad Request\r\n\r\n"} {
		stop := w.imposter(answer)
		passes(fmt.Sprint("answer ", i))
		stop()
	}
}

// imposter is at the place of the policy service, reads each request and gives
// one answer; "" closes the connection.
func (w world) imposter(answer string) (stop func()) {
	w.Helper()
	path := w.policySocket()
	os.Remove(path)
	ln, err := net.Listen("unix", path)
	if err != nil {
		w.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		w.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			request := bufio.NewReader(c)
			for line := ""; line != "\n" && err == nil; {
				line, err = request.ReadString('\n')
			}
			io.WriteString(c, answer)
			c.Close()
		}
	}()
	return func() { ln.Close(); <-done }
}
