package wire

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// echo answers each line with itself. After "begin" it is busy until "end".
func echo(a *Asker) error {
	for {
		first, err := a.Await()
		if err != nil {
			return err
		}
		if first < ' ' {
			return fmt.Errorf("%w: no line", ErrRefused)
		}
		line, err := a.In.ReadSlice('\n')
		if err != nil {
			return err
		}
		a.Out = append(a.Out, line...)
		switch strings.TrimSpace(string(line)) {
		case "begin":
			a.Busy = true
		case "end":
			a.Busy = false
		case "quit":
			return nil
		case "boom":
			panic("boom\nand more\x1b[2J")
		}
	}
}

var deskLimits = DeskLimits{Connections: 100, Idle: 9 * time.Hour, Request: 10 * time.Second, Write: 10 * time.Second}

// deskDaemon is a desk on a unix socket.
type deskDaemon struct {
	*Desk
	addr string
	log  *lines
}

// startDesk runs a desk until the end of the test.
func startDesk(t testing.TB, deskLimits DeskLimits, serve func(*Asker) error) *deskDaemon {
	t.Helper()
	d := &deskDaemon{addr: filepath.Join(t.TempDir(), "m"), log: &lines{}}
	d.Desk = NewDesk("test", deskLimits, 64, serve, d.log.logger())
	lns, err := Listen(Spec{Network: NetworkUnix, Address: d.addr}, ListenOptions{Mode: 0o666, Group: -1})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- d.Serve(lns...) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		d.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return d
}

// dial connects and sends nothing.
func (d *deskDaemon) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

// ask sends a line and wants it back.
func ask(t testing.TB, c net.Conn, line string) {
	t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := bufio.NewReader(c).ReadString('\n'); err != nil || got != line+"\n" {
		t.Fatalf("answer %q, %v", got, err)
	}
}

// deskBubble runs a desk on connections of memory and a clock of its own.
func deskBubble(t *testing.T, play func(d *Desk, ln *pipes, log *lines)) {
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		d := NewDesk("test", deskLimits, 64, echo, log.logger())
		ln := newPipes()
		served := make(chan error, 1)
		go func() { served <- d.Serve(ln) }()
		play(d, ln, log)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		d.Shutdown(ctx)
		began := time.Now()
		if err := <-served; err != nil || time.Since(began) != 0 {
			t.Errorf("Serve ended %v after Shutdown: %v", time.Since(began), err)
		}
	})
}
