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

// quickly accepts as usual.
type quickly struct{ net.Listener }

// Accept waits for a connection.
func (q quickly) Accept() (net.Conn, error) {
	c, err := q.Listener.Accept()
	return quickConnOf(c), err
}

// quickListener accepts the connections of a unix socket. One goroutine may accept.
type quickListener struct {
	net.Listener
	raw   syscall.RawConn
	once  func(fd uintptr) (done bool)
	fd    uintptr // of the connection that was accepted last
	errno syscall.Errno
	set   *set // the next connection's
	sets  sets
}

// Accept waits for a connection.
func (q *quickListener) Accept() (net.Conn, error) {
	for {
		c, err := q.accept()
		if err == nil || q.sets.drop(errors.Is(err, net.ErrClosed)) == 0 {
			return c, err
		} // else it may have been for want of a descriptor
	}
}

// accept takes the set first: a client that there is no descriptor for waits to be
// accepted.
func (q *quickListener) accept() (c net.Conn, err error) {
	if q.set == nil {
		if q.set, err = q.sets.take(); err != nil {
			return nil, err
		}
	}
	if err := q.raw.Read(q.once); err != nil {
		set := q.set
		q.set = nil
		return nil, fmt.Errorf("accept: %w: %w", net.ErrClosed, errors.Join(err, set.Close())) // there is no other reason
	}
	if q.errno != 0 {
		return nil, os.NewSyscallError("accept", q.errno)
	}
	set := q.set
	q.set = nil
	return newUnixConn(q.fd, set, q)
}

// try is not done where the call would have to wait.
func (q *quickListener) try(fd uintptr) (done bool) {
	for {
		q.fd, _, q.errno = syscall.RawSyscall6(unix.SYS_ACCEPT4, fd, 0, 0, syscall.SOCK_CLOEXEC, 0, 0)
		if q.errno != syscall.EINTR {
			return q.errno != syscall.EAGAIN
		}
	}
}

// retire closes a connection that nobody waits on.
func retire(c net.Conn) error {
	if q, ok := c.(*quickConn); ok {
		if u, ok := q.others.(*unixConn); ok {
			return u.retire()
		}
	}
	return c.Close()
}
