// Command record has a real Postfix write the log that package maillog is
// tested with, and prints it: sessions in clear and over TLS 1.2 and 1.3, with
// and without a client certificate, SASL, XCLIENT, IPv6, failed handshakes and
// clients that give up. It needs root, as package posttest does.
//
//	go run ./test/e2e/record > internal/maillog/testdata/postfix.log
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"tlsratchet/test/posttest"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func run(w io.Writer) (err error) {
	if err := posttest.Install(os.Stderr); err != nil {
		return err
	}
	in, err := posttest.New("", posttest.Options{
		Parts: []string{"main.cf.tls", "main.cf.client-certs"},
		Listeners: []posttest.Listener{
			{},
			{Options: []string{"syslog_name=postfix-mx1", "smtpd_tls_security_level=none"}},
			{Options: []string{"syslog_name=postfix/submission", "smtpd_sasl_auth_enable=yes"}},
			{Options: []string{"syslog_name=postfix/smtps", "smtpd_tls_wrappermode=yes"}},
		},
		Users:   map[string]string{"alice": "secret"},
		XClient: true,
		Main:    []string{"smtpd_authorized_xforward_hosts = 127.0.0.0/8"},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := in.Start(ctx); err != nil {
		return err
	}
	for _, s := range sessions(in) {
		if err := s.play(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	time.Sleep(time.Second) // the last disconnect
	return write(w, in)
}

// write prints the log without a place of this machine.
func write(w io.Writer, in *posttest.Instance) error {
	lines, err := in.Log().Lines()
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	for _, line := range lines {
		line = strings.ReplaceAll(line, in.Dir(), "/srv/postfix")
		line = strings.Replace(line, " "+host+" ", " mx1 ", 1)
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

type session struct {
	name string
	play func(context.Context) error
}

// sessions are what the log has, in its order.
func sessions(in *posttest.Instance) []session {
	version := func(v uint16) *tls.Config {
		c := in.ClientTLS()
		c.MinVersion, c.MaxVersion = v, v
		return c
	}
	play := func(name string, p posttest.Peer, mails int) session {
		if p.Server == "" {
			p.Server = in.Addr(0)
		}
		return session{name, func(ctx context.Context) error { return mail(ctx, p, mails) }}
	}
	bank := []string{"NAME=mx1.bank.example", "ADDR=192.0.2.10"}
	all := []session{
		play("TLS 1.3", posttest.Peer{TLS: version(tls.VersionTLS13), XCLIENT: bank}, 1),
		play("TLS 1.2", posttest.Peer{TLS: version(tls.VersionTLS12), XCLIENT: bank}, 2),
		play("in clear", posttest.Peer{XCLIENT: bank}, 1),
		play("in clear, its own address", posttest.Peer{}, 1),
		play("unconfirmed", posttest.Peer{TLS: version(tls.VersionTLS13), XCLIENT: []string{"NAME=[UNAVAILABLE]", "ADDR=192.0.2.11"}}, 1),
		play("IPv6 by XCLIENT", posttest.Peer{TLS: version(tls.VersionTLS13), XCLIENT: []string{"NAME=mx6.bank.example", "ADDR=IPV6:2001:db8:1:2::25"}}, 1),
		play("no STARTTLS", posttest.Peer{Server: in.Addr(1), XCLIENT: bank}, 1),
		play("SASL", posttest.Peer{Server: in.Addr(2), TLS: version(tls.VersionTLS13), User: "alice", Password: "secret"}, 1),
		{"wrapper mode", func(ctx context.Context) error { return wrapped(ctx, in.Addr(3), in.ClientTLS()) }},
		{"certificate", func(ctx context.Context) error { return certified(ctx, in, version(tls.VersionTLS13)) }},
		{"XFORWARD", func(ctx context.Context) error { return forwarded(ctx, in.Addr(0)) }},
		{"no message", func(ctx context.Context) error { return refused(ctx, in.Addr(0)) }},
		{"failed handshake", func(ctx context.Context) error { return mishandled(ctx, in.Addr(0)) }},
		{"lost connection", func(ctx context.Context) error { return lost(in.Addr(0)) }},
	}
	return all
}

func message() posttest.Mail {
	return posttest.Mail{
		From: "alice@bank.example", To: []string{"bob@ours.example"},
		Header: []string{"From: alice@bank.example", "Subject: x"}, Body: "hello",
	}
}

func mail(ctx context.Context, p posttest.Peer, n int) error {
	c, err := p.Connect(ctx)
	if err != nil {
		return err
	}
	for range n {
		if err := send(c, message()); err != nil {
			return errors.Join(err, c.Close())
		}
	}
	return c.Quit()
}

func send(c *posttest.Client, m posttest.Mail) error {
	exchanges, err := c.Send(m)
	if err != nil {
		return err
	}
	if last := exchanges[len(exchanges)-1]; !last.Reply.OK() {
		return fmt.Errorf("%s: %s", last.Command, last.Reply)
	}
	return nil
}

// wrapped is a session with TLS from the first byte on.
func wrapped(ctx context.Context, addr string, config *tls.Config) error {
	d := tls.Dialer{Config: config}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return talk(conn, "EHLO peer.test", "MAIL FROM:<alice@bank.example>", "RCPT TO:<bob@ours.example>", "DATA", "Subject: x\r\n\r\nhello\r\n.", "QUIT")
}

// talk says lines, each after a reply to the one before.
func talk(conn net.Conn, lines ...string) error {
	defer conn.Close()
	reply := make([]byte, 4096)
	for _, line := range lines {
		if _, err := conn.Read(reply); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(conn, "%s\r\n", line); err != nil {
			return err
		}
	}
	_, err := conn.Read(reply)
	return err
}

func certified(ctx context.Context, in *posttest.Instance, config *tls.Config) error {
	trusted, err := in.CA().Issue("partner.example")
	if err != nil {
		return err
	}
	other, err := posttest.NewCA("another CA")
	if err != nil {
		return err
	}
	untrusted, err := other.Issue("stranger.example")
	if err != nil {
		return err
	}
	for _, cert := range []tls.Certificate{trusted, untrusted} {
		// A certificate of a CA that was not asked for is sent all the same.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
		p := posttest.Peer{Server: in.Addr(0), TLS: config, XCLIENT: []string{"NAME=mx.partner.example", "ADDR=192.0.2.20"}}
		if err := mail(ctx, p, 1); err != nil {
			return err
		}
	}
	return nil
}

// forwarded is mail that a content filter gives back.
func forwarded(ctx context.Context, addr string) error {
	c, err := posttest.Peer{Server: addr}.Connect(ctx)
	if err != nil {
		return err
	}
	if _, err := c.Cmd("XFORWARD NAME=mx1.bank.example ADDR=192.0.2.10"); err != nil {
		return err
	}
	return errors.Join(send(c, message()), c.Quit())
}

// refused is a session without a message.
func refused(ctx context.Context, addr string) error {
	c, err := posttest.Peer{Server: addr}.Connect(ctx)
	if err != nil {
		return err
	}
	m := message()
	m.To = []string{"somebody@elsewhere.example"}
	_, err = c.Send(m)
	return errors.Join(err, c.Quit())
}

// mishandled asks for STARTTLS and fails: once with a hello that is none, once
// because the client trusts nobody; then it sends in clear.
func mishandled(ctx context.Context, addr string) error {
	for _, config := range []*tls.Config{{ServerName: "mx.test"}, {ServerName: "mx.test", MaxVersion: tls.VersionTLS10, MinVersion: tls.VersionTLS10}} {
		p := posttest.Peer{Server: addr, TLS: config}
		if _, err := p.Connect(ctx); err == nil {
			return errors.New("the handshake worked")
		}
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	_ = talk(conn, "EHLO peer.test", "STARTTLS", "this is no hello")
	return mail(ctx, posttest.Peer{Server: addr}, 1)
}

// lost is a client that hangs up in the middle of a message.
func lost(addr string) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	return talk(conn, "EHLO peer.test", "MAIL FROM:<alice@bank.example>", "RCPT TO:<bob@ours.example>", "DATA")
}
