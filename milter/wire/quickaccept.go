//go:build linux && !race && !386 && !s390x

package wire

import (
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

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
	raw     syscall.RawConn
	once    func(fd uintptr) (done bool)
	fd      uintptr // of the connection that was accepted last
	errno   syscall.Errno
	retired retired
}

// Accept waits for a connection.
func (q *quickListener) Accept() (net.Conn, error) {
	if err := q.raw.Read(q.once); err != nil {
		return nil, fmt.Errorf("accept: %w: %w", net.ErrClosed, err) // there is no other reason
	}
	if q.errno == 0 {
		return quickConnOf(&unixConn{os.NewFile(q.fd, ""), q}), nil
	}
	if q.retired.close() > 0 { // it may have been for want of a descriptor
		return q.Accept()
	}
	return nil, os.NewSyscallError("accept", q.errno)
}

// try is not done where the call would have to wait.
func (q *quickListener) try(fd uintptr) (done bool) {
	for {
		q.fd, _, q.errno = syscall.RawSyscall6(unix.SYS_ACCEPT4, fd, 0, 0, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0, 0)
		if q.errno != syscall.EINTR {
			return q.errno != syscall.EAGAIN
		}
	}
}

// unixConn is an accepted connection of a unix socket.
type unixConn struct {
	*os.File
	listener *quickListener
}

// LocalAddr returns the listener's address.
func (c *unixConn) LocalAddr() net.Addr { return c.listener.Addr() }

// RemoteAddr returns that of a client without a name.
func (c *unixConn) RemoteAddr() net.Addr { return &net.UnixAddr{Name: "@", Net: "unix"} }

// retire ends a connection that nobody waits on: at once for its client, while its
// descriptor is closed later, for that is a system call of the usual kind.
func retire(c net.Conn) error {
	q, ok := c.(*quickConn)
	if !ok {
		return c.Close()
	}
	u, ok := q.Conn.(*unixConn)
	if !ok {
		return c.Close()
	}
	_ = q.raw.Control(func(fd uintptr) { _, _, _ = syscall.RawSyscall(unix.SYS_SHUTDOWN, fd, syscall.SHUT_RDWR, 0) })
	u.listener.retired.add(u.File)
	return nil
}

// retired are descriptors that are to be closed: so many together, after a second, or
// where one is needed.
type retired struct {
	mu  sync.Mutex
	all []*os.File
}

const maxRetired = 64

func (r *retired) add(f *os.File) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.all = append(r.all, f); len(r.all) {
	case 1:
		time.AfterFunc(time.Second, func() { r.close() })
	case maxRetired:
		go r.close()
	}
}

func (r *retired) close() (closed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.all {
		_ = f.Close()
	}
	closed, r.all = len(r.all), nil
	return closed
}
