//go:build linux && !race && !386 && !s390x

package wire

import (
	"errors"
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
	set     *set // the next connection's
	retired retired
}

// Accept waits for a connection.
func (q *quickListener) Accept() (net.Conn, error) {
	for {
		c, err := q.accept()
		if err == nil || errors.Is(err, net.ErrClosed) || q.retired.close() == 0 {
			return c, err
		} // else it may have been for want of a descriptor
	}
}

// accept makes the set first: a client that there is no descriptor for waits to be
// accepted.
func (q *quickListener) accept() (c net.Conn, err error) {
	if q.set == nil {
		if q.set, err = q.retired.take(); err != nil {
			return nil, err
		}
	}
	if err := q.raw.Read(q.once); err != nil {
		return nil, fmt.Errorf("accept: %w: %w", net.ErrClosed, errors.Join(err, q.set.Close())) // there is no other reason
	}
	if q.errno != 0 {
		return nil, os.NewSyscallError("accept", q.errno)
	}
	set := q.set
	q.set = nil
	return newUnixConn(os.NewFile(q.fd, ""), set, q)
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

// retire ends a connection that nobody waits on: at once for its client, while its
// descriptor is closed later, for that is a system call of the usual kind.
func retire(c net.Conn) error {
	if q, ok := c.(*quickConn); ok {
		if u, ok := q.others.(*unixConn); ok {
			return u.retire()
		}
	}
	return c.Close()
}

// retired is what connections that have ended leave to be closed: so many together,
// after a second, or where a descriptor is needed. Until then their sets are for new
// connections: making one takes four system calls.
type retired struct {
	mu      sync.Mutex
	sockets []*os.File
	sets    []*set
}

const maxRetired = 64

func (r *retired) add(socket *os.File, s *set) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sets = append(r.sets, s)
	switch r.sockets = append(r.sockets, socket); len(r.sockets) {
	case 1:
		time.AfterFunc(time.Second, func() { r.close() })
	case maxRetired:
		go r.close()
	}
}

// take returns a set.
func (r *retired) take() (*set, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.sets)
	if n == 0 {
		return newSet()
	}
	s := r.sets[n-1]
	r.sets = r.sets[:n-1]
	return s, nil
}

func (r *retired) close() (closed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.sockets {
		_ = f.Close()
	}
	for _, s := range r.sets {
		_ = s.Close()
	}
	closed = len(r.sockets) + len(r.sets)
	r.sockets, r.sets = nil, nil
	return closed
}
