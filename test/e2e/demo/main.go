// Command demo shows tlsratchet at work on a real Postfix: two private
// instances on loopback, with a proxy between them that removes STARTTLS. It
// needs root and Postfix (see internal/posttest/install), takes some seconds,
// touches nothing of the system's Postfix and leaves nothing running.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"tlsratchet/test/posttest"
)

func main() {
	binary := flag.String("tlsratchet", "build/tlsratchet", "the `program` to show")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := run(ctx, *binary); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
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
