//go:build linux && !race && !386 && !s390x

package wire

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
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
	ended := accept().(*quickConn).others.(*unixConn)
	ln.retired.sockets, ln.retired.sets = []*os.File{ended.socket}, []*set{ended.set} // no timer closes them
	oneDescriptor(t)
	connect()
	served := accept()
	if err := ended.socket.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the ended session is still open: %v", err)
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

// TestRetiredFor: a single descriptor is kept for a second, and is closed with no more
// than 64.
func TestRetiredFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r retired
		open := func() *os.File {
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		is := func(f *os.File, want error) {
			t.Helper()
			synctest.Wait()
			if _, err := f.Stat(); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}
		add := func(f *os.File) { r.add(f, &set{File: open()}) }
		first := open()
		add(first)
		time.Sleep(999 * time.Millisecond)
		is(first, nil)
		time.Sleep(time.Millisecond)
		is(first, os.ErrClosed)
		first = open()
		add(first)
		for range 62 {
			add(open())
		}
		is(first, nil)
		add(open())
		is(first, os.ErrClosed)
		time.Sleep(time.Second)
	})
}
