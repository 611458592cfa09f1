//go:build linux && !race && !386 && !s390x

package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// quickConn reads and writes with system calls that Go's scheduler is not
// notified of: they never wait. The usual ones wake the runtime's monitor thread
// with each message that comes to an idle process, which costs more context
// switches than the message. One goroutine may read and one may write.
type quickConn struct {
	others
	raw         syscall.RawConn
	read, write call
}

// others are what a connection does besides reading and writing.
type others interface {
	Close() error
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// call is a system call on a buffer, and its outcome.
type call struct {
	trap   uintptr
	buffer []byte
	n      int
	errno  syscall.Errno
	once   func(fd uintptr) (done bool) // try
}

func newQuickConn(c others, raw syscall.RawConn) *quickConn {
	q := &quickConn{others: c, raw: raw, read: call{trap: unix.SYS_RECVFROM}, write: call{trap: unix.SYS_SENDTO}}
	q.read.once, q.write.once = q.read.try, q.write.try
	return q
}

// SyscallConn returns the connection of the socket.
func (q *quickConn) SyscallConn() (syscall.RawConn, error) { return q.raw, nil }

// Read reads what is here, or waits for it until the deadline.
func (q *quickConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil // recv(2) would wait
	}
	n, err := q.read.do("read", p, q.raw.Read)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// Write writes all of p, or what it can until the deadline.
func (q *quickConn) Write(p []byte) (written int, err error) {
	for written < len(p) && err == nil {
		var n int
		n, err = q.write.do("write", p[written:], q.raw.Write)
		written += n
	}
	return written, err
}

// do tries until the call is done, and waits in between.
func (c *call) do(name string, p []byte, wait func(once func(uintptr) bool) error) (int, error) {
	c.buffer, c.errno = p, syscall.EBADF
	switch err := wait(c.once); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, err
	case err != nil || c.errno == syscall.EBADF: // there is no other reason
		return 0, fmt.Errorf("%s: %w", name, net.ErrClosed)
	case c.errno != 0:
		return 0, os.NewSyscallError(name, c.errno)
	}
	return c.n, nil
}

// try is not done where the call would have to wait. What does not wait is not interrupted.
func (c *call) try(fd uintptr) (done bool) {
	n, _, errno := syscall.RawSyscall6(c.trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(c.buffer))), uintptr(len(c.buffer)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	c.n, c.errno = int(n), errno
	return errno != syscall.EAGAIN
}
