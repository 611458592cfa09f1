package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tlsratchet/test/mtatest"
)

// patience is how long a script waits for what must come.
const patience = time.Minute

// signalTo sends a signal to a background process: signal NAME HUP.
func signalTo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: signal name HUP|TERM|KILL")
	}
	sig := map[string]os.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}[args[1]]
	pid := strings.TrimSpace(ts.ReadFile(args[0] + ".pid"))
	var n int
	if _, err := fmt.Sscan(pid, &n); err != nil || sig == nil {
		ts.Fatalf("signal %v: %v", args, err)
	}
	p, err := os.FindProcess(n)
	ts.Check(err)
	ts.Check(p.Signal(sig))
}

// waitfor waits until a file has a text: waitfor FILE TEXT.
func waitfor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor file text")
	}
	path := ts.MkAbs(args[0])
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), args[1]) {
			return
		}
	}
	b, _ := os.ReadFile(path)
	ts.Fatalf("no %q in %s:\n%s", args[1], args[0], b)
}

// send plays one message of mx1.bank.example as Postfix would, and prints the
// last reply and the header: send SOCKET none|TLSv1.2.
func send(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: send socket none|TLSv1.2")
	}
	macros := map[string]string{
		"{client_addr}": "192.0.2.10", "{client_name}": "mx1.bank.example", "{client_resolve}": "OK",
		"{daemon_addr}": "198.51.100.1", "{daemon_port}": "25", "i": "4Q1",
	}
	if args[1] != "none" {
		macros["{tls_version}"], macros["{cipher}"] = args[1], "ECDHE-RSA-AES256-GCM-SHA384"
	}
	s, err := mtatest.Dial(context.Background(), "unix", ts.MkAbs(args[0]), mtatest.Options{Macros: macros, Addr: "192.0.2.10"})
	ts.Check(err)
	defer s.Close()
	r, err := s.Message(mtatest.Message{From: "alice@bank.example", Rcpts: []string{"bob@example.org"}, Headers: [][2]string{{"Subject", "x"}}})
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), r.Replies[len(r.Replies)-1])
	for _, e := range r.Edits {
		fmt.Fprintf(ts.Stdout(), "%s: %s\n", e.Name, e.Value)
	}
}
