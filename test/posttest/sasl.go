package posttest

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
)

// saslServer answers smtpd(8) as Dovecot's auth process does, in as much of the
// Dovecot Authentication Protocol v1.1 as AUTH PLAIN needs.
type saslServer struct {
	sessions
	users map[string]string
}

func newSASL(path string, users map[string]string) (*saslServer, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("SASL server: %w", err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(fmt.Errorf("SASL server: %w", err), l.Close())
	}
	s := &saslServer{users: users}
	s.serve(l, s.session)
	return s, nil
}

func (s *saslServer) session(c net.Conn) {
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
