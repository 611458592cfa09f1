//go:build linux && !race && !386 && !s390x

package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// TestAnswersDoNotWake: nothing waits for room to write on a connection from which
// answers are read.
func TestAnswersDoNotWake(t *testing.T) {
	served, client := quickPair(t)
	io.WriteString(client, "?")
	if _, err := served.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(served, "!"); err != nil {
		t.Fatal(err)
	}
	waits := 0
	for _, set := range eventSets(t) {
		for _, of := range regexp.MustCompile(`tfd: +(\d+) events: +([0-9a-f]+)`).FindAllStringSubmatch(set, -1) {
			if of[1] != fmt.Sprint(descriptorOf(t, served)) {
				continue
			}
			waits++
			if events, err := strconv.ParseUint(of[2], 16, 64); err != nil || events&unix.EPOLLOUT != 0 || events&unix.EPOLLIN == 0 {
				t.Errorf("events %s, %v", of[2], err)
			}
		}
	}
	if waits != 1 {
		t.Errorf("it is waited for in %d places", waits)
	}
}

// eventSets are what the sets of epoll(7) of this process have in them (proc(5)).
func eventSets(t *testing.T) (all []string) {
	t.Helper()
	links, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if info, err := os.ReadFile("/proc/self/fdinfo/" + link.Name()); err == nil && bytes.Contains(info, []byte("tfd:")) {
			all = append(all, string(info))
		}
	}
	return all
}

func descriptorOf(t *testing.T, c net.Conn) (fd uintptr) {
	t.Helper()
	if err := c.(*quickConn).raw.Control(func(of uintptr) { fd = of }); err != nil {
		t.Fatal(err)
	}
	return fd
}

// TestSetOfTheNext: a connection that has ended leaves its set to the next, and neither
// its deadline nor its client; whoever has it still, does nothing to that one.
func TestSetOfTheNext(t *testing.T) {
	l, connect := quickListenerFor(t)
	client := connect()
	first := accepted(t, l)
	used := first.(*quickConn).others.(*unixConn).set
	io.WriteString(client, "left unread")
	first.SetReadDeadline(time.Unix(1, 0))
	if err := retire(first); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("the client of an ended session can read")
	}
	client = connect()
	second := accepted(t, l)
	if second.(*quickConn).others.(*unixConn).set != used {
		t.Error("the set was not used again")
	}
	var read error
	used.raw.Read(func(uintptr) bool { // as the second does
		_, read = first.Read(make([]byte, 1))
		return true
	})
	_, write := first.Write(make([]byte, 1))
	for _, err := range []error{first.Close(), first.SetReadDeadline(time.Unix(1, 0)), retire(first), read, write} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("after its end: %v", err)
		}
	}
	answers(t, second, client)
}

// TestWaitsUntilTheDeadline: a write that waits for room ends at its deadline.
func TestWaitsUntilTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &unixConn{set: &set{}}
		for wait, want := range map[time.Duration]int{0: 0, time.Nanosecond: 1, 250 * time.Millisecond: 9} {
			began, tries := time.Now(), 0
			u.SetWriteDeadline(began.Add(wait))
			err := u.Write(func(uintptr) bool { tries++; return false })
			if waited := time.Since(began); waited != wait || tries != want || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v and %d tries in place of %v and %d, %v", waited, tries, wait, want, err)
			}
		}
		u.SetWriteDeadline(time.Time{})
		var tries []time.Duration
		began := time.Now()
		if err := u.Write(func(uintptr) bool { tries = append(tries, time.Since(began)); return len(tries) == 10 }); err != nil {
			t.Error(err)
		}
		const ms = time.Millisecond
		if want := []time.Duration{0, ms, 3 * ms, 7 * ms, 15 * ms, 31 * ms, 63 * ms, 127 * ms, 227 * ms, 327 * ms}; !slices.Equal(tries, want) {
			t.Errorf("tries at %v, want %v", tries, want)
		}
	})
}

// TestWaitsForRoomWithoutDescriptors: an answer that has to wait for room needs no
// descriptor, and all of it comes.
func TestWaitsForRoomWithoutDescriptors(t *testing.T) {
	served, client := quickPair(t)
	much := make([]byte, 1<<22)
	noDescriptors(t)
	written := make(chan error, 1)
	go func() {
		_, err := served.Write(much)
		written <- errors.Join(err, served.Close())
	}()
	if n, err := io.ReadFull(client, much); err != nil {
		t.Errorf("%d bytes came, %v", n, err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

// TestSetRefuses: a connection whose set did not take the socket is none, for nobody
// would wake us. It leaves nothing open.
func TestSetRefuses(t *testing.T) {
	file, err := syscall.Open(os.Args[0], syscall.O_CLOEXEC, 0) // can't be waited for
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSet()
	if err != nil {
		t.Fatal(err)
	}
	if c, err := newUnixConn(uintptr(file), s, &quickListener{}); !errors.Is(err, syscall.EPERM) {
		t.Errorf("%v, %v", c, err)
	}
	if err := s.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the set is left: %v", err)
	}
	if err := syscall.Fstat(file, &syscall.Stat_t{}); err != syscall.EBADF {
		t.Errorf("the socket is left: %v", err)
	}
}

// TestCloseWhileReading: a read may be about to use the socket that is closed.
func TestCloseWhileReading(t *testing.T) {
	served, _ := quickPair(t)
	u := served.(*quickConn).others.(*unixConn)
	s, closed := u.set, make(chan error, 1)
	err := u.wait.Read(func(uintptr) bool {
		go func() { closed <- u.Close() }()
		for s.SetReadDeadline(time.Time{}) == nil { // until it is being closed
			runtime.Gosched()
		}
		if err := u.Control(func(uintptr) { t.Error("it has a socket") }); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		return true
	})
	if err := errors.Join(err, <-closed); err != nil {
		t.Error(err)
	}
}

// TestCallOfNoSocket: a call that is ended without a try, by whatever it waited for, is
// one on a closed connection.
func TestCallOfNoSocket(t *testing.T) {
	for _, end := range []error{nil, os.ErrClosed} {
		var c call
		if n, err := c.do("read", nil, func(func(uintptr) bool) error { return end }); n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("%d, %v", n, err)
		}
	}
}
