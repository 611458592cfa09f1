package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/alert"
)

// TestPrintResult: a name in a server's certificate may hold what a terminal acts
// on.
func TestPrintResult(t *testing.T) {
	var out strings.Builder
	r := alert.Result{Destination: "webhook https://chat.example", Err: errors.New("x509: certificate is valid for a\x1b[2Jb, not chat.example")}
	printResult(cli.NewContext(&cli.App{Writer: &out}, nil, nil), r)
	if !strings.Contains(out.String(), "failed") || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%q", out.String())
	}
}
