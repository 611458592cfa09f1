//go:build linux && !race && !386 && !s390x

package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// quickListenerFor returns a listener, and connects a client to it.
func quickListenerFor(t *testing.T) (l *quickListener, connect func() net.Conn) {
	t.Helper()
	lns, err := Listen(Spec{Network: NetworkUnix, Address: filepath.Join(t.TempDir(), "s")}, ListenOptions{Mode: 0o600, Group: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lns[0].Close() })
	return quick(lns[0]).(*quickListener), func() net.Conn {
		c, err := net.Dial("unix", lns[0].Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

func accepted(t *testing.T, l *quickListener) net.Conn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestAcceptWithoutDescriptors: where none is left for a client, it waits, and gets those
// that are kept for the next clients.
func TestAcceptWithoutDescriptors(t *testing.T) {
	l, connect := quickListenerFor(t)
	var ended []net.Conn
	for range 4 {
		connect()
		ended = append(ended, accepted(t, l))
	}
	waiting := []net.Conn{connect(), connect(), connect()}
	for _, c := range ended {
		retire(c)
	}
	noDescriptors(t)
	if _, err := l.Accept(); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("with sets alone: %v", err)
	}
	for _, client := range waiting[:2] {
		answers(t, accepted(t, l), client)
	}
	if _, err := l.Accept(); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("with none: %v", err)
	}
}

// answers passes on what a client sends.
func answers(t *testing.T, served, client net.Conn) {
	t.Helper()
	io.WriteString(client, "?")
	got := make([]byte, 8)
	if n, err := served.Read(got); string(got[:n]) != "?" || err != nil {
		t.Errorf("%q, %v", got[:n], err)
	}
}

// noDescriptors leaves the process none, until the end of the test.
func noDescriptors(t *testing.T) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	few := before
	few.Cur = 100 // more than are open
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	})
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return
		}
		t.Cleanup(func() { f.Close() })
	}
}

// TestAcceptAfterTheEnd: a listener that was closed accepts nobody, whether anybody has
// accepted before or not.
func TestAcceptAfterTheEnd(t *testing.T) {
	l, connect := quickListenerFor(t)
	connect()
	accepted(t, l)
	l.Listener.Close()
	for range 2 {
		if c, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v, %v", c, err)
		}
	}
	if c, err := quick(l.Listener).Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("once more: %v, %v", c, err)
	}
}

// TestSets: so many sets of ended sessions are kept, and none once their listener is
// closed.
func TestSets(t *testing.T) {
	var s sets
	var all []*set
	for range MaxUnused + 1 {
		one, err := newSet()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	put := func(one *set) (kept bool) {
		t.Helper()
		if err := s.put(one); err != nil {
			t.Fatal(err)
		}
		_, err := one.Stat()
		return err == nil
	}
	for i, one := range all {
		if kept := put(one); kept != (i < MaxUnused) {
			t.Errorf("%d: kept %t", i, kept)
		}
	}
	last, err := s.take()
	if err != nil || last != all[MaxUnused-1] {
		t.Errorf("took another, %v", err)
	}
	for final := range 2 {
		if s.drop(final == 1); len(s.unused) != 0 {
			t.Errorf("%d are not dropped", len(s.unused))
		}
		one, err := newSet()
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, one); put(one) != (final == 0) {
			t.Errorf("listener closed %d: kept, or not", final)
		}
	}
	last.Close()
	for i, one := range all {
		if _, err := one.Stat(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%d is open: %v", i, err)
		}
	}
}

// TestQuickTCP: a connection of TCP reads and writes by quick system calls too.
func TestQuickTCP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := quick(ln).Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, ok := c.(*quickConn); !ok {
		t.Errorf("it is a %T", c)
	}
}

// TestNotPolled: a file that Go's poller refuses, as it does any where the system's limit
// of what it may wait for is used up, is not waited for.
func TestNotPolled(t *testing.T) {
	f, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := polled(f); raw != nil || !errors.Is(err, os.ErrNoDeadline) || !strings.Contains(err.Error(), "fs.epoll.max_user_watches") {
		t.Errorf("%v, %v", raw, err)
	}
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("it is left open: %v", err)
	}
}
