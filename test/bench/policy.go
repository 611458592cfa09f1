package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"

	"tlsratchet/milter/wire"
)

// doNothingPolicy serves Postfix's policy delegation protocol (SMTPD_POLICY_README)
// on the connections of tlsratchet's server, and answers DUNNO to each question,
// until its standard input ends. It returns the exit code.
func doNothingPolicy(socket string, stdin io.Reader, stderr io.Writer) int {
	gate := wire.NewGate("policy", wire.DefaultLimits().Connections, slog.New(slog.NewTextHandler(stderr, nil)))
	serve := func(lns ...net.Listener) error { return gate.Serve(answerDunno, lns...) }
	if err := serveUntil(serve, gate.Shutdown, socket, stdin); err != nil {
		fmt.Fprintln(stderr, "donothing-policy:", err)
		return 1
	}
	return 0
}

// answerDunno answers until the client leaves.
func answerDunno(conn net.Conn) {
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
func startIdlePolicy(ctx context.Context, dir string, _ []client) (*process, error) {
	return startSelf(ctx, policyArg, filepath.Join(dir, policySocket))
}
