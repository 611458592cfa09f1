package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
)

// doNothingPolicy serves Postfix's policy delegation protocol (SMTPD_POLICY_README)
// and answers DUNNO to each question, until its standard input ends. It returns
// the exit code.
func doNothingPolicy(socket string, stdin io.Reader, stderr io.Writer) int {
	l, err := net.Listen("unix", socket)
	if err == nil {
		err = os.Chmod(socket, 0o666)
	}
	if err != nil {
		fmt.Fprintln(stderr, "donothing-policy:", err)
		return 1
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		l.Close()
	}()
	for {
		conn, err := l.Accept()
		if err != nil {
			return 0
		}
		go answerDunno(conn)
	}
}

func answerDunno(conn net.Conn) {
	defer conn.Close()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if len(lines.Bytes()) > 0 {
			continue
		}
		if _, err := io.WriteString(conn, "action=DUNNO\n\n"); err != nil {
			return
		}
	}
}

// policySocket is where the do-nothing policy service listens.
const policySocket = "policy-service.sock"

// startIdlePolicy starts this program again as the do-nothing policy service.
func startIdlePolicy(ctx context.Context, dir string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, policySocket)
	return startProcess(ctx, "policy service", socket, self, policyArg, socket)
}
