package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"tlsratchet/test/posttest"
)

// bankMX is the host that takes the bank's mail.
const bankMX = "mx.bank.example"

// stage is all that runs in the demo.
type stage struct {
	binary string
	out    io.Writer

	mx, sender *posttest.Instance
	wire       *posttest.Strip
	bank       *posttest.Sink // the bank's MX, for the mail that we send
	names      io.Closer      // the DNS that has its address
	dir        string
	daemon     *exec.Cmd
	log        logBuffer
}

// set builds the stage: ours, the wire, theirs.
func (s *stage) set(ctx context.Context) (err error) {
	if s.dir, err = os.MkdirTemp("", "tlsratchet-demo"); err != nil {
		return err
	}
	resolver, err := s.receiver()
	if err != nil {
		return err
	}
	s.mx, err = posttest.New("", posttest.Options{
		Hostname: "mx.ours.example", Parts: []string{"main.cf.tls", "main.cf.tlsratchet", "main.cf.outbound"},
		Networks: []string{"127.0.0.1/32"}, Resolver: resolver,
		Main: []string{"smtp_address_preference = ipv4", "inet_protocols = ipv4"},
	})
	if err != nil {
		return err
	}
	if err = s.mx.Start(ctx); err != nil {
		return err
	}
	if s.wire, err = posttest.NewStrip("127.0.0.1", s.mx.Addr(0)); err != nil {
		return err
	}
	host, port, _ := strings.Cut(s.wire.Addr(), ":")
	s.sender, err = posttest.New("", posttest.Options{
		Hostname: "mail.bank.example", Domains: []string{"bank.example"}, Source: "127.0.0.2",
		Networks: []string{"127.0.0.0/8"}, Relay: "[" + host + "]:" + port,
	})
	if err != nil {
		return err
	}
	return s.sender.Start(ctx)
}

// receiver starts the bank's MX and the DNS that names it, whose address it
// returns.
func (s *stage) receiver() (resolver string, err error) {
	ca, err := posttest.NewCA("bank")
	if err != nil {
		return "", err
	}
	address := posttest.Loopback()
	if s.bank, err = posttest.NewSink(net.JoinHostPort(address, "25"), bankMX, ca); err != nil {
		return "", err
	}
	dns, err := posttest.NewDNS(map[string][]string{"bank.example": {bankMX}}, map[string]string{bankMX: address})
	if err != nil {
		return "", err
	}
	s.names = dns
	return dns.Addr(), nil
}

// serve starts tlsratchet, or starts it again with another action.
func (s *stage) serve(action string) error {
	if err := s.stopDaemon(); err != nil {
		return err
	}
	config := filepath.Join(s.dir, "tlsratchet.toml")
	// Everything in the demo is on loopback, which is exempt by default.
	text := fmt.Sprintf("exempt_networks = []\n[outbound]\naction = \"hold\"\nlisten = [%q]\nlog = %q\npostfix = [%q]\n",
		"unix:"+s.mx.PolicySocket(), s.mx.Maillog(), filepath.Join(s.mx.Dir(), "etc"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	s.daemon = exec.Command(s.binary, "serve", "--config", config,
		"--listen", "unix:"+s.mx.MilterSocket(), "--history", filepath.Join(s.dir, "history.db"),
		"--action", action, "--pin-after-days", "1")
	s.daemon.Stderr = &s.log
	s.log.reset()
	if err := s.daemon.Start(); err != nil {
		s.daemon = nil
		return fmt.Errorf("start %s: %w (make build?)", s.binary, err)
	}
	_, err := s.log.wait("msg=serving")
	return err
}

func (s *stage) stopDaemon() error {
	if s.daemon == nil {
		return nil
	}
	if err := s.daemon.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := s.daemon.Wait()
	s.daemon = nil
	return err
}

// close takes everything down again.
func (s *stage) close() error {
	errs := []error{s.stopDaemon()}
	if s.sender != nil {
		errs = append(errs, s.sender.Close())
	}
	if s.wire != nil {
		errs = append(errs, s.wire.Close())
	}
	if s.mx != nil {
		errs = append(errs, s.mx.Close())
	}
	if s.bank != nil {
		errs = append(errs, s.bank.Close())
	}
	if s.names != nil {
		errs = append(errs, s.names.Close())
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// logBuffer is the daemon's log.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

func (l *logBuffer) find(text string) (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range strings.Split(l.b.String(), "\n") {
		if strings.Contains(line, text) {
			return line, true
		}
	}
	return l.b.String(), false
}

// wait returns the first line with the text.
func (l *logBuffer) wait(text string) (string, error) {
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if line, ok := l.find(text); ok {
			return line, nil
		}
	}
	all, _ := l.find("\x00")
	return "", fmt.Errorf("no %q in tlsratchet's log:\n%s", text, all)
}
