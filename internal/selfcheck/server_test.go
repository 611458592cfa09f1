package selfcheck_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// server plays an MX on a pipe: what it says to each command, in full. It
// starts TLS when a STARTTLS got a 220.
type server struct {
	greeting string
	replies  map[string]string
	cert     tls.Certificate
	// versions bound the TLS it speaks; it drops a handshake where broken.
	minVersion, maxVersion uint16
	broken                 bool
}

// offering is an MX as it should be.
func offering(cert tls.Certificate) server {
	return server{
		greeting: "220 mx.test ESMTP\r\n",
		replies: map[string]string{
			"EHLO":     "250-mx.test\r\n250-PIPELINING\r\n250-StartTLS\r\n250 8BITMIME\r\n",
			"STARTTLS": "220 2.0.0 Ready to start TLS\r\n",
			"QUIT":     "221 2.0.0 Bye\r\n",
		},
		cert: cert,
	}
}

// with is the same server with another reply.
func (s server) with(command, reply string) server {
	replies := map[string]string{command: reply}
	for c, r := range s.replies {
		if c != command {
			replies[c] = r
		}
	}
	s.replies = replies
	return s
}

// dial is a connection to the server, which ends with it.
func (s server) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		_ = s.serve(theirs)
	}()
	return ours, nil
}

func (s server) serve(conn net.Conn) error {
	if s.greeting == "" {
		return errors.New("ordered to hang up")
	}
	if _, err := fmt.Fprint(conn, s.greeting); err != nil {
		return err
	}
	lines := bufio.NewReader(conn)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		command, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		reply, known := s.replies[command]
		if !known {
			return errors.New("ordered to send nothing")
		}
		if _, err := fmt.Fprint(conn, reply); err != nil {
			return err
		}
		if command == "STARTTLS" && strings.HasPrefix(reply, "220") {
			if s.broken {
				return errors.New("ordered to break it")
			}
			secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{s.cert}, MinVersion: s.minVersion, MaxVersion: s.maxVersion})
			conn, lines = secure, bufio.NewReader(secure)
		}
	}
}

// certificate makes one for the names that is good from and until so many days
// from now.
func certificate(t *testing.T, from, until int, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().AddDate(0, 0, from),
		// The hour more is for the seconds that the test takes.
		NotAfter: time.Now().AddDate(0, 0, until).Add(time.Hour),
		DNSNames: names,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
