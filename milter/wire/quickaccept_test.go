//go:build linux && !race && !386 && !s390x

package wire

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestAcceptWithoutDescriptors: where no descriptor is left but those of sessions that
// have ended, a client is served at once.
func TestAcceptWithoutDescriptors(t *testing.T) {
	log := &lines{}
	g := NewGate("test", 1000, log.logger())
	lns, err := Listen(Spec{Network: NetworkUnix, Address: filepath.Join(t.TempDir(), "s")}, ListenOptions{Mode: 0o600, Group: -1})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve(func(c net.Conn) { c.Write([]byte("220")) }, lns...) }()
	client := func() {
		c, err := net.Dial("unix", lns[0].Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if all, err := io.ReadAll(c); string(all) != "220" || err != nil {
			t.Errorf("%q, %v", all, err)
		}
	}
	for range maxRetiredInTest {
		client()
	}
	oneDescriptor(t)
	client()
	if st := g.Stats(); st.AcceptErrors != 0 || st.Accepted != maxRetiredInTest+1 {
		t.Errorf("%+v, logged %q", st, log.all())
	}
	if err := g.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// maxRetiredInTest is less than what is closed at once.
const maxRetiredInTest = 60

// oneDescriptor leaves the process one, until the end of the test.
func oneDescriptor(t *testing.T) {
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
	for last := (*os.File)(nil); ; {
		f, err := os.Open(os.DevNull)
		if err != nil {
			last.Close()
			return
		}
		t.Cleanup(func() { f.Close() })
		last = f
	}
}
