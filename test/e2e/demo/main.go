// Command demo shows tlsratchet at work on a real Postfix: two private
// instances on loopback, with a proxy between them that removes STARTTLS. It
// needs root and Postfix (see test/posttest/install), takes some seconds, touches
// nothing of the system's Postfix and leaves nothing running.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"tlsratchet/test/posttest"
)

func main() {
	binary := flag.String("tlsratchet", "build/tlsratchet", "the `program` to show")
	inside := flag.Bool("inside", false, "the network is the demo's own")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if !*inside && exec.Command("unshare", "--net", "ip", "link").Run() == nil {
		os.Exit(isolated(ctx))
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := run(ctx, *binary); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// isolated runs the demo in a network namespace, where no server of the machine
// listens on port 25. It returns the exit code.
func isolated(ctx context.Context) int {
	const up = `ip link set lo up && exec "$0" -inside "$@"`
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"--net", "sh", "-c", up, os.Args[0]}, os.Args[1:]...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Run(); cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}

func run(ctx context.Context, binary string) (err error) {
	if err := posttest.Require(); err != nil {
		return err
	}
	s := &stage{binary: binary, out: os.Stdout}
	defer func() {
		if closed := s.close(); err == nil {
			err = closed
		}
	}()
	return s.play(ctx)
}
