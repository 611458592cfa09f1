package posttest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// scripted is a server that answers each line with the next answer and then
// hangs up. It returns the address, and at the end what it received.
func scripted(t *testing.T, answers ...string) (addr string, received func() []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan []string, 1)
	go func() {
		var lines []string
		defer func() { done <- lines }()
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		in := bufio.NewReader(c)
		for i, a := range answers {
			if i > 0 {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				lines = append(lines, strings.TrimSuffix(line, "\r\n"))
			}
			io.WriteString(c, a)
		}
	}()
	received = func() []string {
		l.Close()
		lines := <-done
		done <- lines
		return lines
	}
	t.Cleanup(func() { received() })
	return l.Addr().String(), received
}

func TestConnectRefused(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	const hello = "250-mx\r\n250-STARTTLS\r\n250-XCLIENT NAME ADDR\r\n250 AUTH PLAIN LOGIN\r\n"
	for name, c := range map[string]struct {
		answers []string
		peer    Peer
		want    string
	}{
		"banner":        {[]string{"554 no\r\n"}, Peer{}, "banner: 554 no"},
		"no banner":     {[]string{""}, Peer{}, "EOF"},
		"not SMTP":      {[]string{"hello\r\n"}, Peer{}, "hello"},
		"EHLO":          {[]string{"220 mx\r\n", "502 what\r\n"}, Peer{}, "EHLO: 502 what"},
		"STARTTLS":      {[]string{"220 mx\r\n", hello, "454 not now\r\n"}, Peer{TLS: &tls.Config{}}, "STARTTLS: 454 not now"},
		"no STARTTLS":   {[]string{"220 mx\r\n", "250 mx\r\n"}, Peer{TLS: &tls.Config{}}, ErrNoSTARTTLS.Error()},
		"no handshake":  {[]string{"220 mx\r\n", hello, "220 go\r\n"}, Peer{TLS: &tls.Config{ServerName: "mx"}}, "TLS handshake"},
		"XCLIENT":       {[]string{"220 mx\r\n", hello, "550 no\r\n"}, Peer{XCLIENT: []string{"NAME=x"}}, "XCLIENT: 550 no"},
		"AUTH":          {[]string{"220 mx\r\n", hello, "535 no\r\n"}, Peer{User: "a"}, "AUTH: 535 no"},
		"hung up":       {[]string{"220 mx\r\n", hello}, Peer{User: "a"}, "AUTH: "},
		"opportunistic": {[]string{"220 mx\r\n", "250 mx\r\n"}, Peer{TLS: &tls.Config{}, Opportunistic: true}, ""},
	} {
		c.peer.Server, _ = scripted(t, c.answers...)
		client, err := c.peer.Connect(context.Background())
		if client != nil {
			client.Close()
		}
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, err := (Peer{Server: "127.0.0.1:1", Source: "127.0.0.3"}).Connect(context.Background()); err == nil {
		t.Error("connected to nobody")
	}
}

// What goes over the wire, to the byte.
func TestWire(t *testing.T) {
	addr, received := scripted(t, "220 mx\r\n",
		"250-mx\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 XCLIENT NAME ADDR\r\n", "220 mx\r\n", "250 mx\r\n",
		"235 ok\r\n", "250 2.1.0 Ok\r\n", "250 2.1.5 Ok\r\n", "354 go\r\n", "", "", "", "250 2.0.0 Ok\r\n", "250 Ok\r\n", "221 Bye\r\n")
	c, err := Peer{Server: addr, XCLIENT: []string{"NAME=a", "ADDR=192.0.2.1"}, User: "u", Password: "p"}.Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Offers("SIZE"); ok {
		t.Error("the offers of the first EHLO are over")
	}
	exchanges, err := c.Send(Mail{
		From: "a@b", Params: []string{"BODY=8BITMIME", "SMTPUTF8"}, To: []string{"c@d"},
		Header: []string{"X: y"}, Body: ".z",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Exchange{
		{"MAIL", Reply{250, "2.1.0 Ok"}}, {"RCPT c@d", Reply{250, "2.1.5 Ok"}}, {".", Reply{250, "2.0.0 Ok"}},
	}
	if diff := cmp.Diff(want, exchanges); diff != "" {
		t.Error(diff)
	}
	if _, err := c.Cmd("RSET"); err != nil {
		t.Error(err)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	lines := []string{
		"EHLO peer.test", "XCLIENT NAME=a ADDR=192.0.2.1", "EHLO peer.test", "AUTH PLAIN AHUAcA==",
		"MAIL FROM:<a@b> BODY=8BITMIME SMTPUTF8", "RCPT TO:<c@d>", "DATA", "X: y", "", "..z", ".", "RSET", "QUIT",
	}
	if diff := cmp.Diff(lines, received()); diff != "" {
		t.Error(diff)
	}
}

func TestSendStops(t *testing.T) {
	for name, c := range map[string]struct {
		answers []string
		want    []string // commands answered
		broken  bool
	}{
		"sender refused":     {[]string{"550 no\r\n"}, []string{"MAIL"}, false},
		"recipients refused": {[]string{"250 Ok\r\n", "451 later\r\n", "550 no\r\n", "250 Ok\r\n"}, []string{"MAIL", "RCPT c@d", "RCPT e@f"}, false},
		"DATA refused":       {[]string{"250 Ok\r\n", "250 Ok\r\n", "550 no\r\n", "451 no\r\n"}, []string{"MAIL", "RCPT c@d", "RCPT e@f", "."}, false},
		"hung up":            {[]string{"250 Ok\r\n", "250 Ok\r\n"}, []string{"MAIL", "RCPT c@d"}, true},
		"hung up at once":    {nil, nil, true},
	} {
		addr, _ := scripted(t, append([]string{"220 mx\r\n", "250 mx\r\n"}, c.answers...)...)
		client, err := Peer{Server: addr}.Connect(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		exchanges, err := client.Send(Mail{From: "a@b", To: []string{"c@d", "e@f"}})
		client.Close()
		var got []string
		for _, e := range exchanges {
			got = append(got, e.Command)
		}
		if diff := cmp.Diff(c.want, got); diff != "" || (err != nil) != c.broken {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestPipelineBreaks(t *testing.T) {
	addr, _ := scripted(t, "220 mx\r\n", "250 mx\r\n", "250 one\r\n")
	client, err := Peer{Server: addr}.Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	replies, err := client.Pipeline("NOOP", "RSET")
	if len(replies) != 1 || err == nil || !strings.HasPrefix(err.Error(), "RSET: ") {
		t.Errorf("%v, %v", replies, err)
	}
}

func TestReply(t *testing.T) {
	for code, ok := range map[int]bool{200: true, 250: true, 354: true, 399: true, 400: false, 451: false, 554: false} {
		if (Reply{Code: code}).OK() != ok {
			t.Error(code)
		}
	}
	if got := (Reply{250, "mx\nSTARTTLS"}).String(); got != "250 mx / STARTTLS" {
		t.Error(got)
	}
}

// Ports are free, and on the address asked for.
func TestFreeAddr(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		host := rapid.SampledFrom([]string{"", "127.0.0.1", "127.0.0.77"}).Draw(t, "host")
		addr, err := freeAddr(host)
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if a := l.Addr().(*net.TCPAddr); a.Port < 20000 || a.Port > 31999 || host != "" && a.IP.String() != host {
			t.Fatal(addr)
		}
	})
}

func TestPollEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	tries := 0
	err := poll(ctx, func() (bool, error) {
		if tries++; tries == 3 {
			cancel()
		}
		return false, nil
	})
	if !errors.Is(err, context.Canceled) || tries < 3 {
		t.Errorf("%d tries, %v", tries, err)
	}
	broken := errors.New("broken")
	if err := poll(context.Background(), func() (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestDefaults(t *testing.T) {
	o, err := Options{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if o.Hostname != "mx.test" || len(o.Listeners) != 1 || o.CA == nil || o.Domains[0] != "ours.example" {
		t.Errorf("%+v", o)
	}
	kept, err := Options{Hostname: "a.test", Parts: []string{}, CA: o.CA}.withDefaults()
	if err != nil || kept.Hostname != "a.test" || len(kept.Parts) != 0 || kept.CA != o.CA {
		t.Errorf("%+v, %v", kept, err)
	}
}
