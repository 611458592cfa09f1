package wire

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
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
	d := &deskDaemon{log: &lines{}}
	d.Desk = NewDesk("test", deskLimits, 64, serve, d.log.logger())
	d.addr = runServer(t, d.Desk)
	return d
}

// dial connects and sends nothing.
func (d *deskDaemon) dial(t testing.TB) net.Conn {
	t.Helper()
	c := dialUnix(t, d.addr)
	t.Cleanup(func() { c.Close() })
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
