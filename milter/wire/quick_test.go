package wire

import (
	"bytes"
	"errors"
	"io"
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
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if client, err = net.Dial("unix", ln.Addr().String()); err == nil {
		served, err = ln.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	served = quick(served)
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
	if _, err := served.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read after the deadline: %v", err)
	}
	if _, err := served.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write after the deadline: %v", err)
	}
	served.SetDeadline(time.Time{})
	client.Close()
	if _, err := served.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read after the client left: %v", err)
	}
	if _, err := served.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write after the client left: %v", err)
	}
	served.Close()
	if _, err := served.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after closing: %v", err)
	}
	one, other := net.Pipe()
	defer other.Close()
	if got := quick(one); got != one {
		t.Errorf("a pipe became %T", got)
	}
}
