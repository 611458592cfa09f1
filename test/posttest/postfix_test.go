package posttest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
)

func TestTLSVersions(t *testing.T) {
	in := start(t, posttest.Options{Main: []string{"smtpd_tls_loglevel = 1"}})
	for version, name := range map[uint16]string{tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"} {
		config := in.ClientTLS()
		config.MinVersion, config.MaxVersion = version, version
		c := connect(t, posttest.Peer{Server: in.Addr(0), TLS: config})
		if c.TLS().Version != version {
			t.Errorf("%s: %x", name, c.TLS().Version)
		}
		if version == tls.VersionTLS12 && !strings.Contains(tls.CipherSuiteName(c.TLS().CipherSuite), "_ECDHE_") {
			t.Errorf("no forward secrecy: %s", tls.CipherSuiteName(c.TLS().CipherSuite))
		}
		send(t, c, name)
		if got := receive(t, in, name).Header.Get("Received"); !strings.Contains(got, "(using "+name+" with cipher") {
			t.Errorf("Received: %s", got)
		}
	}
	send(t, connect(t, posttest.Peer{Server: in.Addr(0)}), "clear")
	if got := receive(t, in, "clear").Header.Get("Received"); strings.Contains(got, "using TLS") {
		t.Errorf("Received: %s", got)
	}
}

// Go has no cipher that encrypts nothing; openssl(1) has.
func TestNullCipher(t *testing.T) {
	in := start(t, posttest.Options{Main: []string{"smtpd_tls_loglevel = 1", "smtpd_tls_ciphers = null", "tls_null_cipherlist = eNULL:@SECLEVEL=0"}})
	ask := exec.CommandContext(t.Context(), "openssl", "s_client", "-starttls", "smtp", "-connect", in.Addr(0), "-tls1_2", "-cipher", "eNULL:@SECLEVEL=0")
	ask.Stdin = strings.NewReader("QUIT\r\n")
	if out, err := ask.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	line := regexp.MustCompile(`: (TLS\S+) with cipher (\S+) \(0/0 bits\)`)
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		log, err := os.ReadFile(in.Maillog())
		found := line.FindSubmatch(log)
		if err == nil && found == nil && time.Now().Before(end) {
			continue // it is written later
		}
		if err != nil || found == nil || tlsstate.LevelOf(string(found[1]), string(found[2])) != tlsstate.Plaintext {
			t.Errorf("%q, %v, log:\n%s", found, err, log)
		}
		return
	}
}

func TestResumption(t *testing.T) {
	in := start(t, posttest.Options{})
	config := in.ClientTLS()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for i, want := range []bool{false, true} {
		c := connect(t, posttest.Peer{Server: in.Addr(0), TLS: config})
		if got := c.TLS().DidResume; got != want {
			t.Errorf("session %d: resumed %v", i, got)
		}
		send(t, c, "hello")
		if err := c.Quit(); err != nil {
			t.Error(err)
		}
	}
}

// The scene of the demo: a peer that uses TLS, stripped by somebody on the
// wire, and not stripped again.
func TestStrippedDelivery(t *testing.T) {
	mx := start(t, posttest.Options{Hostname: "mx.ours.example"})
	proxy, err := posttest.NewStrip("", mx.Addr(0))
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	host, port, _ := net.SplitHostPort(proxy.Addr())
	peer := start(t, posttest.Options{
		Hostname: "mx.peer.example",
		Relay:    "[" + host + "]:" + port,
		Source:   "127.0.0.9",
		Networks: []string{"127.0.0.0/8"},
		Domains:  []string{"peer.example"},
		CA:       mx.CA(),
	})
	c := connect(t, posttest.Peer{Server: peer.Addr(0)})
	for _, s := range []struct {
		subject string
		strip   bool
	}{{"before", false}, {"stripped", true}, {"after", false}} {
		proxy.Set(s.strip)
		send(t, c, s.subject)
		got := receive(t, mx, s.subject).Header.Get("Received")
		if strings.Contains(got, "using TLS") == s.strip || !strings.Contains(got, "127.0.0.9") {
			t.Errorf("%s: Received: %s", s.subject, got)
		}
	}
	if proxy.Deleted() != 1 {
		t.Errorf("%d deleted", proxy.Deleted())
	}
	if _, err := peer.Log().Wait(deadline(t), regexp.MustCompile(`Trusted TLS connection established to`)); err != nil {
		t.Error(err)
	}
}

func TestXCLIENTKeepsTLS(t *testing.T) {
	in := start(t, posttest.Options{XClient: true})
	c := connect(t, posttest.Peer{
		Server:  in.Addr(0),
		TLS:     in.ClientTLS(),
		XCLIENT: []string{"NAME=mx1.bank.example", "ADDR=192.0.2.10"},
	})
	send(t, c, "hello")
	got := receive(t, in, "hello").Header.Get("Received")
	if !strings.Contains(got, "mx1.bank.example [192.0.2.10]") || !strings.Contains(got, "using TLSv1.3") {
		t.Errorf("Received: %s", got)
	}
	// A stranger may not.
	closed := start(t, posttest.Options{})
	_, err := posttest.Peer{Server: closed.Addr(0), XCLIENT: []string{"ADDR=192.0.2.10"}}.Connect(deadline(t))
	if err == nil || !strings.Contains(err.Error(), "XCLIENT: 550") {
		t.Error(err)
	}
}

func TestClientCertificate(t *testing.T) {
	in := start(t, posttest.Options{Parts: []string{"main.cf.tls", "main.cf.client-certs"}})
	stranger, err := posttest.NewCA("stranger")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		name string
		ca   *posttest.CA
		want string
	}{
		{"partner.example", in.CA(), "Trusted"},
		{"none", nil, "Anonymous"},
		{"stranger.example", stranger, "Untrusted"},
	} {
		config := in.ClientTLS()
		if s.ca != nil {
			cert, err := s.ca.Issue(s.name)
			if err != nil {
				t.Fatal(err)
			}
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
		}
		log, err := in.Log().Mark()
		if err != nil {
			t.Fatal(err)
		}
		send(t, connect(t, posttest.Peer{Server: in.Addr(0), TLS: config}), s.name)
		if _, err := log.Wait(deadline(t), regexp.MustCompile(s.want+` TLS connection established from`)); err != nil {
			t.Error(err)
		}
		got := receive(t, in, s.name).Header.Get("Received")
		if strings.Contains(got, `(Client CN "partner.example"`) != (s.want == "Trusted") {
			t.Errorf("Received: %s", got)
		}
	}
}

// smtp(8) shows a certificate too.
func TestInstanceShowsItsCertificate(t *testing.T) {
	mx := start(t, posttest.Options{Hostname: "mx.ours.example", Parts: []string{"main.cf.tls", "main.cf.client-certs"}})
	host, port, _ := net.SplitHostPort(mx.Addr(0))
	peer := start(t, posttest.Options{
		Hostname:   "mx.peer.example",
		Relay:      "[" + host + "]:" + port,
		Networks:   []string{"127.0.0.0/8"},
		Domains:    []string{"peer.example"},
		CA:         mx.CA(),
		ClientCert: true,
	})
	send(t, connect(t, posttest.Peer{Server: peer.Addr(0)}), "hello")
	got := receive(t, mx, "hello").Header.Get("Received")
	if !strings.Contains(got, `(Client CN "mx.peer.example", Issuer "tlsratchet test CA" (verified OK))`) {
		t.Errorf("Received: %s", got)
	}
}

func TestListeners(t *testing.T) {
	listeners := []posttest.Listener{
		{},
		{Options: []string{"smtpd_tls_security_level=none"}},
		{File: "master.cf.submission", Service: "submission"},
	}
	if posttest.HasIPv6() {
		listeners = append(listeners, posttest.Listener{Host: "::1"})
	}
	in := start(t, posttest.Options{Listeners: listeners, Users: map[string]string{"alice": "secret"}})
	for i, want := range []bool{true, false, true, true}[:len(listeners)] {
		_, err := posttest.Peer{Server: in.Addr(i), TLS: in.ClientTLS()}.Connect(deadline(t))
		if (err == nil) != want || !want && !errors.Is(err, posttest.ErrNoSTARTTLS) {
			t.Errorf("listener %d: %v", i, err)
		}
		c := connect(t, posttest.Peer{Server: in.Addr(i), TLS: in.ClientTLS(), Opportunistic: true})
		if (c.TLS() != nil) != want {
			t.Errorf("listener %d: TLS %v", i, c.TLS())
		}
		if _, auth := c.Offers("AUTH"); auth != (i == 2) {
			t.Errorf("listener %d: AUTH offered: %v", i, auth)
		}
	}
	if posttest.HasIPv6() {
		send(t, connect(t, posttest.Peer{Server: in.Addr(3), Source: "::1"}), "six")
		if got := receive(t, in, "six").Header.Get("Received"); !strings.Contains(got, "[IPv6:::1]") {
			t.Errorf("Received: %s", got)
		}
	}
}

func TestSASL(t *testing.T) {
	in := start(t, posttest.Options{
		Listeners: []posttest.Listener{
			{File: "master.cf.submission", Service: "submission"},
			{File: "master.cf.submission", Service: "submissions"},
		},
		Users: map[string]string{"alice": "secret"},
	})
	peer := posttest.Peer{Server: in.Addr(0), TLS: in.ClientTLS(), User: "alice", Password: "wrong"}
	if _, err := peer.Connect(deadline(t)); err == nil || !strings.Contains(err.Error(), "AUTH: 535") {
		t.Error(err)
	}
	peer.Password = "secret"
	send(t, connect(t, peer), "mine")
	receive(t, in, "mine")
	if _, err := in.Log().Wait(deadline(t), regexp.MustCompile(`submission/smtpd.*sasl_method=PLAIN, sasl_username=alice`)); err != nil {
		t.Error(err)
	}
	peer.User = ""
	c := connect(t, peer)
	exchanges, err := c.Send(posttest.Mail{From: "x@y.example", To: []string{"bob@ours.example"}})
	if err != nil || exchanges[len(exchanges)-1].Reply.Code != 554 {
		t.Errorf("without AUTH: %v, %v", exchanges, err)
	}
	wrapped, err := tls.Dial("tcp", in.Addr(1), in.ClientTLS())
	if err != nil {
		t.Fatalf("submissions: %v", err)
	}
	wrapped.Close()
}

func TestSession(t *testing.T) {
	in := start(t, posttest.Options{})
	c := connect(t, posttest.Peer{Server: in.Addr(0), HELO: "elsewhere.example"})
	t.Run("pipelining", func(t *testing.T) {
		replies, err := c.Pipeline("MAIL FROM:<a@b.example>", "RCPT TO:<bob@ours.example>",
			"RCPT TO:<x@elsewhere.example>", "RSET", "NOOP")
		if err != nil {
			t.Fatal(err)
		}
		var codes []int
		for _, r := range replies {
			codes = append(codes, r.Code)
		}
		if diff := cmp.Diff([]int{250, 250, 554, 250, 250}, codes); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("several messages and recipients", func(t *testing.T) {
		for _, from := range []string{"a@b.example", ""} {
			exchanges, err := c.Send(posttest.Mail{
				From: from, To: []string{"bob@ours.example", "x@elsewhere.example", "carol@ours.example"},
				Header: []string{"Subject: to two, from <" + from + ">"}, Body: "one\n.\ntwo\n",
			})
			if err != nil {
				t.Fatal(err)
			}
			var codes []int
			for _, s := range exchanges {
				codes = append(codes, s.Reply.Code)
			}
			if diff := cmp.Diff([]int{250, 250, 554, 250, 250}, codes); diff != "" {
				t.Error(diff)
			}
			m := receive(t, in, "to two, from <"+from+">")
			if m.Header.Get("Return-Path") != "<"+from+">" || m.Body != "one\n.\ntwo\n" {
				t.Errorf("%s", m.Raw)
			}
		}
	})
	t.Run("no recipient taken", func(t *testing.T) {
		exchanges, err := c.Send(posttest.Mail{From: "a@b.example", To: []string{"x@elsewhere.example"}})
		if err != nil || len(exchanges) != 2 || exchanges[1].Command != "RCPT x@elsewhere.example" || exchanges[1].Reply.OK() {
			t.Errorf("%v, %v", exchanges, err)
		}
		if s := exchanges[1].Reply.String(); !strings.HasPrefix(s, "554 5.7.1 ") {
			t.Error(s)
		}
	})
	t.Run("SMTPUTF8", func(t *testing.T) {
		exchanges, err := c.Send(posttest.Mail{
			From: "jürgen@bücher.example", Params: []string{"SMTPUTF8"}, To: []string{"bob@ours.example"},
			Header: []string{"Subject: utf8"},
		})
		if err != nil || !exchanges[len(exchanges)-1].Reply.OK() {
			t.Fatalf("%v, %v", exchanges, err)
		}
		if got := receive(t, in, "utf8").Header.Get("Return-Path"); got != "<jürgen@bücher.example>" {
			t.Error(got)
		}
	})
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	if _, err := c.Cmd("NOOP"); err == nil {
		t.Error("a closed session answers")
	}
}

func TestHold(t *testing.T) {
	in := start(t, posttest.Options{Main: []string{"smtpd_sender_restrictions = check_sender_access static:HOLD"}})
	ctx := deadline(t)
	if q, err := in.Queue(ctx); len(q) > 0 || err != nil {
		t.Errorf("%v, %v", q, err)
	}
	send(t, connect(t, posttest.Peer{Server: in.Addr(0)}), "held")
	q, err := in.WaitQueue(ctx, func(q posttest.Queued) bool { return q.Queue == "hold" })
	if err != nil {
		t.Fatal(err)
	}
	if q.Sender != "alice@peer.example" || len(q.Recipients) != 1 || q.Recipients[0].Address != "bob@ours.example" {
		t.Errorf("%+v", q)
	}
	if text, err := in.Cat(ctx, q.ID); err != nil || !strings.Contains(text, "Subject: held\n") || !strings.HasSuffix(text, "\n\nHello.\n") {
		t.Errorf("%s, %v", text, err)
	}
	if err := in.Release(ctx, q.ID); err != nil {
		t.Error(err)
	}
	receive(t, in, "held")
	if _, err := in.Cat(ctx, "0000"); err == nil {
		t.Error("a message that isn't there")
	}
}

// What is refused for now waits in the sender's queue with the reason, and goes
// once the reason is gone.
func TestDeferredAndFlushed(t *testing.T) {
	mx := start(t, posttest.Options{Hostname: "mx.ours.example"})
	host, port, _ := net.SplitHostPort(mx.Addr(0))
	peer := start(t, posttest.Options{
		Hostname: "mx.peer.example", Domains: []string{"peer.example"},
		Relay: "[" + host + "]:" + port, Networks: []string{"127.0.0.0/8"},
	})
	ctx := deadline(t)
	if err := mx.Stop(); err != nil {
		t.Fatal(err)
	}
	send(t, connect(t, posttest.Peer{Server: peer.Addr(0)}), "later")
	q, err := peer.WaitQueue(ctx, func(q posttest.Queued) bool { return q.Queue == "deferred" })
	if err != nil {
		t.Fatal(err)
	}
	if len(q.Recipients) != 1 || !strings.Contains(q.Recipients[0].Delay, "Connection refused") {
		t.Errorf("%+v", q)
	}
	if err := mx.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := peer.Flush(ctx); err != nil {
		t.Error(err)
	}
	receive(t, mx, "later")
}

// The header checks drop a forged header where mail comes in, and leave
// attached messages and what a content filter sends back alone.
func TestForgedHeader(t *testing.T) {
	in := start(t, posttest.Options{
		Parts: []string{"main.cf.tls", "main.cf.header_checks"},
		Listeners: []posttest.Listener{
			{}, {File: "master.cf.content-filter", Service: "127.0.0.1:10026"}, {File: "master.cf.proxy-filter", Service: "127.0.0.1:10026"},
		},
	})
	for i, subject := range []string{"outside", "filtered", "proxied"} {
		c := connect(t, posttest.Peer{Server: in.Addr(i)})
		send(t, c, subject, "X-TLS-Ratchet: forged;", "\tfolded", "Content-Type: message/rfc822", "MIME-Version: 1.0")
		got := string(receive(t, in, subject).Raw)
		if strings.Contains(got, "forged") != (i > 0) || strings.Contains(got, "folded") != (i > 0) {
			t.Errorf("%s: %s", subject, got)
		}
	}
	c := connect(t, posttest.Peer{Server: in.Addr(0)})
	if _, err := c.Send(posttest.Mail{
		From: "a@b.example", To: []string{"bob@ours.example"},
		Header: []string{"Subject: attached", "MIME-Version: 1.0", "Content-Type: message/rfc822"},
		Body:   "X-TLS-Ratchet: true\nSubject: inner\n\nHello.\n",
	}); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, in, "attached").Body; !strings.Contains(got, "X-TLS-Ratchet: true") {
		t.Errorf("an attached message was changed: %s", got)
	}
}

// The socket is where main.cf.tlsratchet says, chrooted or not, and a milter
// that hangs up or isn't there costs nothing.
func TestMilterSocket(t *testing.T) {
	for _, chroot := range []bool{false, true} {
		in := start(t, posttest.Options{Parts: []string{"main.cf.tls", "main.cf.tlsratchet"}, Chroot: chroot})
		send(t, connect(t, posttest.Peer{Server: in.Addr(0), TLS: in.ClientTLS()}), "no milter")
		receive(t, in, "no milter")

		l, err := net.Listen("unix", in.MilterSocket())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(in.MilterSocket(), 0o666); err != nil {
			t.Fatal(err)
		}
		came := make(chan error, 1)
		go func() {
			c, err := l.Accept()
			if err == nil {
				err = c.Close()
			}
			came <- err
		}()
		send(t, connect(t, posttest.Peer{Server: in.Addr(0), TLS: in.ClientTLS()}), "milter hangs up")
		receive(t, in, "milter hangs up")
		if err := <-came; err != nil {
			t.Errorf("chroot %v: %v", chroot, err)
		}
		l.Close()
	}
}

// Submission services and filters' way back don't ask the milter.
func TestServicesWithoutMilter(t *testing.T) {
	in := start(t, posttest.Options{
		Parts: []string{"main.cf.tls", "main.cf.tlsratchet"},
		Listeners: []posttest.Listener{
			{File: "master.cf.submission", Service: "submission"}, {File: "master.cf.content-filter", Service: "127.0.0.1:10026"},
		},
		Users: map[string]string{"alice": "secret"},
	})
	l, err := net.Listen("unix", in.MilterSocket())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(in.MilterSocket(), 0o666); err != nil {
		t.Fatal(err)
	}
	came := make(chan bool)
	go func() {
		c, err := l.Accept()
		if err == nil {
			c.Close()
		}
		came <- err == nil
	}()
	send(t, connect(t, posttest.Peer{Server: in.Addr(0), TLS: in.ClientTLS(), User: "alice", Password: "secret"}), "mine")
	send(t, connect(t, posttest.Peer{Server: in.Addr(1)}), "filtered")
	receive(t, in, "mine")
	receive(t, in, "filtered")
	l.Close()
	if <-came {
		t.Error("the milter was asked")
	}
}

func TestWaitsEnd(t *testing.T) {
	in := start(t, posttest.Options{})
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := in.WaitMail(ended, posttest.Subject("never")); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "the log ends") {
		t.Errorf("mail: %v", err)
	}
	if _, err := in.WaitQueue(ended, func(posttest.Queued) bool { return false }); err == nil {
		t.Error("queue")
	}
	if _, err := in.Log().Wait(ended, regexp.MustCompile("never")); !errors.Is(err, context.Canceled) {
		t.Errorf("log: %v", err)
	}
	mark, err := in.Log().Mark()
	if err != nil {
		t.Fatal(err)
	}
	if lines, err := mark.Lines(); len(lines) > 1 || err != nil {
		t.Errorf("after the mark: %q, %v", lines, err)
	}
}
