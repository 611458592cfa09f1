package wire

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// quickPair is a connection as a Gate hands it on, and its client.
func quickPair(t *testing.T) (served, client net.Conn) {
	t.Helper()
	lns, err := Listen(Spec{Network: NetworkUnix, Address: filepath.Join(t.TempDir(), "s")}, ListenOptions{Mode: 0o600, Group: -1})
	if err != nil {
		t.Fatal(err)
	}
	ln := quick(lns[0])
	t.Cleanup(func() { lns[0].Close() })
	if client, err = net.Dial("unix", ln.Addr().String()); err == nil {
		served, err = ln.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { served.Close(); client.Close() })
	return served, client
}

// TestQuickConn: much goes through in both directions, and then comes the end.
func TestQuickConn(t *testing.T) {
	served, client := quickPair(t)
	much := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // more than any socket's buffer
	echoed := make(chan error, 1)
	go func() {
		all, err := io.ReadAll(served)
		if err == nil {
			_, err = served.Write(all)
		}
		echoed <- errors.Join(err, served.Close())
	}()
	if _, err := client.Write(much); err != nil {
		t.Fatal(err)
	}
	if err := client.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	back, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(back, much) {
		t.Errorf("%d bytes came back of %d, %v", len(back), len(much), err)
	}
	if err := <-echoed; err != nil {
		t.Error(err)
	}
}

// TestQuickConnFails: the errors are those of any connection.
func TestQuickConnFails(t *testing.T) {
	served, client := quickPair(t)
	if n, err := served.Read(nil); n != 0 || err != nil {
		t.Errorf("into nothing: %d, %v", n, err)
	}
	served.SetDeadline(time.Unix(1, 0))
	if n, err := served.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read after the deadline: %v", err)
	}
	if n, err := served.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write after the deadline: %v", err)
	}
	served.SetDeadline(time.Time{})
	client.Close()
	if n, err := served.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read after the client left: %v", err)
	}
	if n, err := served.Write([]byte("x")); n != 0 || !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write after the client left: %v", err)
	}
	served.Close()
	if n, err := served.Read(make([]byte, 1)); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after closing: %v", err)
	}
	one, other := net.Pipe()
	defer other.Close()
	if got, err := quick(&once{conn: one}).Accept(); got != one || err != nil {
		t.Errorf("a pipe became %T, %v", got, err)
	}
}

// TestRetired: a client whose session has ended sees its end at once, and no
// descriptor is kept for long, however many came.
func TestRetired(t *testing.T) {
	lns, err := Listen(Spec{Network: NetworkUnix, Address: filepath.Join(t.TempDir(), "s")}, ListenOptions{Mode: 0o600, Group: -1})
	if err != nil {
		t.Fatal(err)
	}
	g := NewGate("test", 1000, slog.New(slog.DiscardHandler))
	served := make(chan error, 1)
	before := descriptors(t)
	go func() { served <- g.Serve(func(c net.Conn) { c.Write([]byte("220 \r\n")) }, lns...) }()
	for range 300 {
		c, err := net.Dial("unix", lns[0].Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if all, err := io.ReadAll(c); string(all) != "220 \r\n" || err != nil {
			t.Fatalf("%q, %v", all, err)
		}
		c.Close()
		if n := descriptors(t); n > before+150 {
			t.Fatalf("%d descriptors, %d before", n, before)
		}
	}
	if err := g.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	for descriptors(t) > before { // the test's own limit of time ends it
		time.Sleep(time.Millisecond)
	}
}

// descriptors counts those of this process, where the system shows them.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(all)
}

// TestDescriptorsOfConnections: a connection takes as many as its kind of listener
// states.
func TestDescriptorsOfConnections(t *testing.T) {
	for _, spec := range []Spec{{NetworkUnix, filepath.Join(t.TempDir(), "s")}, {NetworkTCP, "127.0.0.1:0"}} {
		lns, err := Listen(spec, ListenOptions{Mode: 0o600, Group: -1})
		if err != nil {
			t.Fatal(err)
		}
		g, served, begun := NewGate("test", 1000, slog.New(slog.DiscardHandler)), make(chan error, 1), make(chan bool)
		go func() {
			served <- g.Serve(func(c net.Conn) { begun <- true; _, _ = io.Copy(io.Discard, c) }, lns...)
		}()
		const n, own = 50, 10 // own are the listener's, and those of the next to come
		before := descriptors(t)
		var clients []net.Conn
		for range n {
			c, err := net.Dial(lns[0].Addr().Network(), lns[0].Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			clients = append(clients, c)
			<-begun
		}
		if now := descriptors(t); before > 0 {
			if took, want := now-before-n, n*spec.Descriptors(); took < want || took > want+own {
				t.Errorf("%s: %d connections took %d descriptors, want %d", spec, n, took, want)
			}
		}
		for _, c := range clients {
			c.Close()
		}
		if err := errors.Join(g.Shutdown(t.Context()), <-served); err != nil {
			t.Error(err)
		}
	}
}

// TestQuickConnWaits: a client that reads nothing keeps a write waiting until its
// deadline, or until the connection is closed; one that writes nothing, a read. What it
// was sent until then is all there.
func TestQuickConnWaits(t *testing.T) {
	served, client := quickPair(t)
	much := make([]byte, 1<<24)
	served.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	sent, err := served.Write(much)
	if !errors.Is(err, os.ErrDeadlineExceeded) || sent == 0 || sent == len(much) {
		t.Errorf("write until the deadline: %d, %v", sent, err)
	}
	served.SetWriteDeadline(time.Time{})
	written, read := make(chan error, 1), make(chan error, 1)
	go func() {
		n, err := served.Write(much)
		sent += n
		written <- err
	}()
	go func() {
		_, err := served.Read(make([]byte, 1))
		read <- err
	}()
	if n, err := io.ReadFull(client, make([]byte, 1<<20)); err != nil { // it goes on
		t.Fatalf("%d bytes, %v", n, err)
	}
	served.SetReadDeadline(time.Now())
	if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read until the deadline: %v", err)
	}
	if err := served.Close(); err != nil {
		t.Error(err)
	}
	if err := <-written; !errors.Is(err, net.ErrClosed) {
		t.Errorf("write until it is closed: %v", err)
	}
	if all, err := io.ReadAll(client); len(all)+1<<20 != sent || err != nil {
		t.Errorf("%d bytes came of %d, %v", len(all)+1<<20, sent, err)
	}
}
