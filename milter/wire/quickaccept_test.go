//go:build linux && !race && !386 && !s390x

package wire

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestAcceptWithoutDescriptors: where no descriptor is left, those of sessions that
// have ended are closed, and without any the accept fails.
func TestAcceptWithoutDescriptors(t *testing.T) {
	lns, err := Listen(Spec{Network: NetworkUnix, Address: filepath.Join(t.TempDir(), "s")}, ListenOptions{Mode: 0o600, Group: -1})
	if err != nil {
		t.Fatal(err)
	}
	ln := quick(lns[0]).(*quickListener)
	defer ln.Close()
	connect := func() net.Conn {
		c, err := net.Dial("unix", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	accept := func() net.Conn {
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	connect()
	connect()
	first, second := accept(), accept()
	ended := first.(*quickConn).others.(*unixConn).set
	if err := errors.Join(retire(first), retire(second)); err != nil {
		t.Fatal(err)
	}
	oneDescriptor(t)
	connect()
	served := accept() // has the other's set
	if _, err := ended.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the set of an ended session is still open: %v", err)
	}
	served.Close()
	connect()
	if _, err := ln.Accept(); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("with none left: %v", err)
	}
}

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

// TestSets: so many sets of ended sessions are kept, and none once their listener is
// closed.
func TestSets(t *testing.T) {
	var s sets
	var all []*set
	for range maxUnused + 1 {
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
		if kept := put(one); kept != (i < maxUnused) {
			t.Errorf("%d: kept %t", i, kept)
		}
	}
	last, err := s.take()
	if err != nil || last != all[maxUnused-1] {
		t.Errorf("took another, %v", err)
	}
	for final, want := range []int{maxUnused - 1, 1} {
		if dropped := s.drop(final == 1); dropped != want {
			t.Errorf("%d dropped, %d unused", dropped, want)
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
