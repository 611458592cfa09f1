//go:build linux && !race && !386 && !s390x

package wire

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unixConn is an accepted connection of a unix socket, for a [quickConn] that reads
// and writes. Go's poller waits for room to write too, which such a socket reports
// each time that an answer was read: we would wake once more for each. So the
// poller is given a [set] in place of the socket, which is in that for reading alone.
type unixConn struct {
	listener *quickListener
	socket   *os.File
	raw      syscall.RawConn // of the socket

	mu         sync.Mutex
	set        *set // nil once it is closed
	writeUntil time.Time
}

// newUnixConn returns the connection of a socket, for which it takes the set.
func newUnixConn(socket *os.File, s *set, l *quickListener) (net.Conn, error) {
	u := &unixConn{listener: l, socket: socket, set: s}
	u.raw, _ = socket.SyscallConn() // fails for nil alone
	if err := s.control(unix.EPOLL_CTL_ADD, u.raw); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	q := newQuickConn(u, u.raw)
	q.read.once, q.write.once = q.read.through(u.raw), q.write.through(u.raw)
	q.read.wait, q.write.wait = s.raw.Read, u.write
	return q, nil
}

// through returns a try on that socket.
func (c *call) through(raw syscall.RawConn) (once func(uintptr) bool) {
	var done bool
	try := func(fd uintptr) { done = c.try(fd) }
	return func(uintptr) bool {
		if err := raw.Control(try); err != nil {
			c.errno, done = syscall.EBADF, true
		}
		return done
	}
}

// write tries until there is room. A client that reads one answer before it asks again
// has it always, so nothing waits for some.
func (u *unixConn) write(once func(uintptr) bool) error {
	for pause := time.Millisecond; ; pause = min(2*pause, maxPause) {
		u.mu.Lock()
		until := u.writeUntil
		u.mu.Unlock()
		if !until.IsZero() && !time.Now().Before(until) {
			return os.ErrDeadlineExceeded
		}
		if once(0) {
			return nil
		}
		time.Sleep(pause)
	}
}

// maxPause is between two tries to write.
const maxPause = 100 * time.Millisecond

// SetDeadline sets both deadlines.
func (u *unixConn) SetDeadline(t time.Time) error {
	return errors.Join(u.SetReadDeadline(t), u.SetWriteDeadline(t))
}

// SetReadDeadline sets that of reads.
func (u *unixConn) SetReadDeadline(t time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.set == nil {
		return net.ErrClosed
	}
	return u.set.SetReadDeadline(t)
}

// SetWriteDeadline sets that of writes.
func (u *unixConn) SetWriteDeadline(t time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.writeUntil = t
	return nil
}

// Close closes it, the set first, so that a read ends as one of a closed connection.
func (u *unixConn) Close() error {
	return u.end(func() error { return errors.Join(u.set.Close(), u.socket.Close()) })
}

// retire ends a connection that nobody reads from: at once for its client.
func (u *unixConn) retire() error {
	return u.end(func() error {
		_ = u.raw.Control(func(fd uintptr) { _, _, _ = syscall.RawSyscall(unix.SYS_SHUTDOWN, fd, syscall.SHUT_RDWR, 0) })
		if err := errors.Join(u.set.control(unix.EPOLL_CTL_DEL, u.raw), u.set.SetReadDeadline(time.Time{})); err != nil {
			return errors.Join(err, u.set.Close(), u.socket.Close())
		}
		u.listener.retired.add(u.socket, u.set)
		return nil
	})
}

// end ends it once.
func (u *unixConn) end(end func() error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.set == nil {
		return net.ErrClosed
	}
	err := end()
	u.set = nil
	return err
}

// LocalAddr returns the listener's address.
func (u *unixConn) LocalAddr() net.Addr { return u.listener.Addr() }

// RemoteAddr returns that of a client without a name.
func (u *unixConn) RemoteAddr() net.Addr { return &net.UnixAddr{Name: "@", Net: "unix"} }
