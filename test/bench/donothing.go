package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	gomilter "github.com/emersion/go-milter"

	"tlsratchet/milter"
	"tlsratchet/milter/wire"
	"tlsratchet/test/posttest"
)

// childArg makes this program the do-nothing go-milter: donothing SOCKET;
// policyArg the do-nothing policy service.
const (
	childArg  = "donothing"
	policyArg = "donothing-policy"
)

// idle accepts at MAIL.
type idle struct{ gomilter.NoOpMilter }

// MailFrom accepts.
func (idle) MailFrom(string, *gomilter.Modifier) (gomilter.Response, error) {
	return gomilter.RespAccept, nil
}

// doNothing serves a go-milter that does nothing, with the negotiation and the
// server of tlsratchet, until its standard input ends. It returns the exit code.
func doNothing(socket string, stdin io.Reader, stderr io.Writer) int {
	server := wire.New(wire.Config{
		Backend:    func() gomilter.Milter { return idle{} },
		Actions:    milter.Actions,
		Protocol:   milter.Protocol,
		SymList:    milter.Symbols(),
		KeepHeader: milter.KeepHeader,
		Limits:     wire.DefaultLimits(),
		Log:        slog.New(slog.NewTextHandler(stderr, nil)),
	})
	if err := serveUntil(server.Serve, server.Shutdown, socket, stdin); err != nil {
		fmt.Fprintln(stderr, "donothing:", err)
		return 1
	}
	return 0
}

// serveUntil serves on a socket until its standard input ends.
func serveUntil(serve func(...net.Listener) error, shutdown func(context.Context) error, socket string, stdin io.Reader) error {
	lns, err := wire.Listen(wire.Spec{Network: wire.NetworkUnix, Address: socket}, wire.ListenOptions{Mode: 0o666, Group: -1})
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		_ = shutdown(context.Background())
	}()
	return serve(lns...)
}

// startDoNothing starts this program again as the do-nothing go-milter.
func startDoNothing(ctx context.Context, dir string, _ []client) (*process, error) {
	return startSelf(ctx, childArg, filepath.Join(dir, serveSocket))
}

// startSelf starts this program again.
func startSelf(ctx context.Context, arg, socket string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startProcess(ctx, arg, socket, self, arg, socket)
}

//go:embed c/donothing.c
var cSource string

// errNoC says why there is no milter in C to compare with.
var errNoC = errors.New("no do-nothing milter in C to compare with")

// compileC builds the do-nothing libmilter into dir. Where Debian's
// libmilter-dev is missing, root installs it. An error wraps errNoC; the rest
// can be measured without.
func compileC(ctx context.Context, dir string, stderr io.Writer) (binary string, err error) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		return "", fmt.Errorf("%w: there is no C compiler (cc); install gcc and libmilter-dev", errNoC)
	}
	if err := installLibmilter(ctx, stderr); err != nil {
		return "", err
	}
	source := filepath.Join(dir, "donothing.c")
	if err := writeFile(source, cSource); err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "donothing")
	out, err := exec.CommandContext(ctx, cc, "-O2", "-o", binary, source, "-lmilter", "-lpthread").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: cc: %w\n%s", errNoC, err, out)
	}
	return binary, nil
}

const libmilterHeader = "/usr/include/libmilter/mfapi.h"

func installLibmilter(ctx context.Context, stderr io.Writer) error {
	if _, err := os.Stat(libmilterHeader); err == nil {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: libmilter-dev is missing: as root, apt-get install libmilter-dev", errNoC)
	}
	if err := posttest.InstallPackage(ctx, stderr, "libmilter-dev"); err != nil {
		return fmt.Errorf("%w: libmilter-dev can't be installed: %w", errNoC, err)
	}
	return nil
}

// startC starts the do-nothing libmilter: what is "mail" or "all".
func (o *options) startC(what string) func(context.Context, string, []client) (*process, error) {
	return func(ctx context.Context, dir string, _ []client) (*process, error) {
		socket := filepath.Join(dir, serveSocket)
		return startProcess(ctx, "libmilter, "+what, socket, o.c, socket, what)
	}
}

func writeFile(path, text string) error { return os.WriteFile(path, []byte(text), 0o644) }
