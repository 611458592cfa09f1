package posttest

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
)

// saslServer answers smtpd(8) as Dovecot's auth process does, in as much of the
// Dovecot Authentication Protocol v1.1 as AUTH PLAIN needs.
type saslServer struct {
	listener net.Listener
	users    map[string]string
	mu       sync.Mutex
	conns    map[net.Conn]bool // nil once closed
	wg       sync.WaitGroup
}

func newSASL(path string, users map[string]string) (*saslServer, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("SASL server: %w", err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(fmt.Errorf("SASL server: %w", err), l.Close())
	}
	s := &saslServer{listener: l, users: users, conns: map[net.Conn]bool{}}
	s.wg.Go(s.accept)
	return s, nil
}

// Close ends all sessions and waits for them.
func (s *saslServer) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.conns = nil
	s.mu.Unlock()
	s.wg.Wait()
	return err
}

func (s *saslServer) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.conns == nil {
			c.Close()
		} else {
			s.conns[c] = true
			s.wg.Go(func() { s.serve(c) })
		}
		s.mu.Unlock()
	}
}

func (s *saslServer) serve(c net.Conn) {
	defer func() {
		c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	fmt.Fprintf(c, "VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t%d\nCUID\t1\nCOOKIE\t00\nDONE\n", os.Getpid())
	for lines := bufio.NewScanner(c); lines.Scan(); {
		if answer := s.answer(lines.Text()); answer != "" {
			if _, err := c.Write([]byte(answer + "\n")); err != nil {
				return
			}
		}
	}
}

// answer returns the reply to one line, "" for lines that want none. AUTH and
// CONT have a request id first; a response that isn't there yet is asked for.
func (s *saslServer) answer(line string) string {
	f := strings.Split(line, "\t")
	if len(f) < 3 || f[0] != "AUTH" && f[0] != "CONT" {
		return ""
	}
	response, given := f[2], f[0] == "CONT"
	for _, p := range f[2:] {
		if r, ok := strings.CutPrefix(p, "resp="); ok {
			response, given = r, true
		}
	}
	if !given {
		return "CONT\t" + f[1] + "\t"
	}
	user, ok := s.check(response)
	if !ok {
		return "FAIL\t" + f[1]
	}
	return "OK\t" + f[1] + "\tuser=" + user
}

// check takes a response of SASL PLAIN (RFC 4616): authorization identity,
// name and password, with NUL between them.
func (s *saslServer) check(response string) (user string, ok bool) {
	b, err := base64.StdEncoding.DecodeString(response)
	if err != nil {
		return "", false
	}
	f := strings.Split(string(b), "\x00")
	if len(f) != 3 {
		return "", false
	}
	password, known := s.users[f[1]]
	return f[1], known && password == f[2]
}
