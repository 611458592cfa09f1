//go:build linux && !race && !386 && !s390x

package wire

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// set is one of epoll(7), for one socket. It can be read when that can.
type set struct {
	*os.File
	raw syscall.RawConn
	fd  uintptr
}

func newSet() (*set, error) {
	fd, _, errno := syscall.RawSyscall(unix.SYS_EPOLL_CREATE1, unix.EPOLL_CLOEXEC, 0, 0)
	if errno != 0 {
		return nil, os.NewSyscallError("epoll_create1", errno)
	}
	// Go's poller takes what does not block.
	_, _, _ = syscall.RawSyscall(unix.SYS_FCNTL, fd, unix.F_SETFL, unix.O_NONBLOCK)
	f := os.NewFile(fd, "")
	raw, err := polled(f)
	return &set{f, raw, fd}, err
}

// polled returns the raw connection of a file that Go's poller waits for. It closes one
// that the poller refused, which package os does not report.
func polled(f *os.File) (syscall.RawConn, error) {
	if err := f.SetReadDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("nothing more can be waited for, maybe by the limit fs.epoll.max_user_watches: %w", errors.Join(err, f.Close()))
	}
	return f.SyscallConn()
}

// add puts a socket into the set, until that is closed.
func (s *set) add(socket uintptr) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN}
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, s.fd, unix.EPOLL_CTL_ADD, socket, uintptr(unsafe.Pointer(&event)), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

// sets are what connections that have ended leave to the next: making one takes four
// system calls.
type sets struct{ spare[*set] }

// put takes a set that nobody waits on.
func (s *sets) put(one *set) error {
	if err := one.SetReadDeadline(time.Time{}); err != nil || !s.spare.put(one, MaxUnused) {
		return errors.Join(err, one.Close())
	}
	return nil
}

// take returns an unused one, or makes one.
func (s *sets) take() (*set, error) {
	if one, found := s.spare.take(); found {
		return one, nil
	}
	return newSet()
}

// drop closes the unused ones, and if final each that will come.
func (s *sets) drop(final bool) {
	for _, one := range s.spare.drop(final) {
		_ = one.Close()
	}
}
