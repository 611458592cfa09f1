//go:build linux && !race && !386 && !s390x

package wire

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// unixDescriptors are what a connection of a unix socket takes: its own, and its [set]'s.
const unixDescriptors = 2

// quick returns a listener whose connections are [quickConn]s, where it can. One of
// a unix socket accepts and closes likewise.
func quick(l net.Listener) net.Listener {
	if u, ok := l.(*unixListener); ok {
		if raw, err := u.twin(); err == nil {
			q := &quickListener{Listener: l, raw: raw}
			q.once = q.try
			return q
		}
	}
	return quickly{l}
}

// twin returns the listener's descriptor once more, until it is closed: net gives
// its own to nobody who would wait on it. Call it once.
func (u *unixListener) twin() (syscall.RawConn, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.second, _ = u.File() // polled refuses none
	return polled(u.second)
}

// quickly accepts as usual.
type quickly struct{ net.Listener }

// Accept waits for a connection. One that is no socket's it returns as it is.
func (q quickly) Accept() (net.Conn, error) {
	c, err := q.Listener.Accept()
	if socket, ok := c.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			return newQuickConn(c, raw), nil
		}
	}
	return c, err
}

// quickListener accepts the connections of a unix socket. One goroutine may accept.
type quickListener struct {
	net.Listener
	raw   syscall.RawConn
	once  func(fd uintptr) (done bool)
	fd    uintptr // of the connection that was accepted last
	errno syscall.Errno
	sets  sets
}

// Accept waits for a connection. It takes the set first: a client that there is no
// descriptor for waits to be accepted.
func (q *quickListener) Accept() (net.Conn, error) {
	s, err := q.sets.take()
	if err == nil {
		if err = q.accept(); err == nil {
			return newUnixConn(q.fd, s, q)
		}
		_ = s.Close()
	}
	q.sets.drop(errors.Is(err, net.ErrClosed)) // it may be for want of a descriptor
	return nil, err
}

func (q *quickListener) accept() error {
	if err := q.raw.Read(q.once); err != nil {
		return fmt.Errorf("accept: %w: %w", net.ErrClosed, err) // there is no other reason
	}
	if q.errno != 0 {
		return os.NewSyscallError("accept", q.errno)
	}
	return nil
}

// try is not done where the call would have to wait.
func (q *quickListener) try(fd uintptr) (done bool) {
	q.fd, _, q.errno = syscall.RawSyscall6(unix.SYS_ACCEPT4, fd, 0, 0, syscall.SOCK_CLOEXEC, 0, 0)
	return q.errno != syscall.EAGAIN
}

// retire closes a connection that nobody reads from: its set is for the next.
func retire(c net.Conn) error {
	if q, ok := c.(*quickConn); ok {
		if u, ok := q.others.(*unixConn); ok {
			return u.end(u.listener.sets.put)
		}
	}
	return c.Close()
}
