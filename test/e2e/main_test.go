// Package e2e holds the scenarios at a real Postfix: a private instance on
// loopback, made from the files in contrib/postfix, with tlsratchet itself as
// its milter. Peers are played by XCLIENT, which keeps the TLS state of the
// real connection.
package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tlsratchet/test/posttest"
)

// binary is tlsratchet, built for this run.
var binary string

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "journalctl" { // see TestOutboundJournal
		os.Exit(playJournal(os.Args[1:]))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var out bytes.Buffer
	if err := posttest.Install(&out); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: %v\n%s", err, &out)
		return 1
	}
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "tlsratchet")
	build := exec.Command("go", "build", "-o", binary, "tlsratchet/cmd/tlsratchet")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// limit bounds what a scenario waits for.
func limit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// newPostfix returns a running instance with our milter in it.
func newPostfix(t *testing.T, o posttest.Options) *posttest.Instance {
	t.Helper()
	if o.Parts == nil {
		o.Parts = []string{"main.cf.tls", "main.cf.tlsratchet"}
	}
	o.XClient = true
	in, err := posttest.New("", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := in.Start(limit(t)); err != nil {
		t.Fatal(err)
	}
	return in
}
