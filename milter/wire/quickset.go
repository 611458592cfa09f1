//go:build linux && !race && !386 && !s390x

package wire

import (
	"errors"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// set is one of epoll(7), for one socket. It can be read when that can.
type set struct {
	*os.File
	raw syscall.RawConn
}

func newSet() (*set, error) {
	fd, _, errno := syscall.RawSyscall(unix.SYS_EPOLL_CREATE1, unix.EPOLL_CLOEXEC, 0, 0)
	if errno != 0 {
		return nil, os.NewSyscallError("epoll_create1", errno)
	}
	// Go's poller takes what does not block.
	_, _, _ = syscall.RawSyscall(unix.SYS_FCNTL, fd, unix.F_SETFL, unix.O_NONBLOCK)
	s := &set{File: os.NewFile(fd, "")}
	s.raw, _ = s.SyscallConn() // fails for nil alone
	return s, nil
}

// control puts a socket into the set, or takes it out.
func (s *set) control(operation uintptr, socket syscall.RawConn) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP}
	var errno syscall.Errno
	var err error
	closed := s.raw.Control(func(set uintptr) {
		err = socket.Control(func(fd uintptr) {
			_, _, errno = syscall.RawSyscall6(unix.SYS_EPOLL_CTL, set, operation, fd, uintptr(unsafe.Pointer(&event)), 0, 0)
		})
	})
	if errno != 0 {
		err = os.NewSyscallError("epoll_ctl", errno)
	}
	return errors.Join(closed, err)
}
