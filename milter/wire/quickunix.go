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
	wait     syscall.RawConn           // of the set
	try      func(uintptr) (done bool) // once, on the socket
	once     func(fd uintptr) (done bool)

	mu         sync.Mutex
	socket     uintptr // its descriptor
	set        *set    // nil once it is closed
	writeUntil time.Time
}

// newUnixConn returns the connection of a socket, for which it takes the set.
func newUnixConn(socket uintptr, s *set, l *quickListener) (net.Conn, error) {
	u := &unixConn{listener: l, wait: s.raw, socket: socket, set: s}
	u.try = func(uintptr) (done bool) {
		return u.Control(func(fd uintptr) { done = u.once(fd) }) != nil || done
	}
	if err := s.add(socket); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	return newQuickConn(u, u), nil
}

// Control calls f with the socket's descriptor.
func (u *unixConn) Control(f func(fd uintptr)) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.set == nil {
		return net.ErrClosed
	}
	f(u.socket)
	return nil
}

// Read waits until once is done: for something to read.
func (u *unixConn) Read(once func(fd uintptr) (done bool)) error {
	if err := u.Control(func(uintptr) { u.once = once }); err != nil {
		return err // another connection may have the set
	}
	return u.wait.Read(u.try)
}

// Write waits until once is done: for room to write. A client that reads one answer
// before it asks again has it always, so nothing wakes us.
func (u *unixConn) Write(once func(fd uintptr) (done bool)) error {
	for pause := time.Millisecond; ; pause = min(2*pause, maxPause) {
		done := false
		err := u.Control(func(fd uintptr) {
			if !u.writeUntil.IsZero() {
				pause = min(pause, time.Until(u.writeUntil))
			}
			done = pause > 0 && once(fd)
		})
		switch {
		case pause <= 0:
			return os.ErrDeadlineExceeded
		case done, err != nil:
			return err
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
	return u.Control(func(uintptr) { _ = u.set.SetReadDeadline(t) }) // it is open, and polled
}

// SetWriteDeadline sets that of writes.
func (u *unixConn) SetWriteDeadline(t time.Time) error {
	return u.Control(func(uintptr) { u.writeUntil = t })
}

// Close closes it. The set is closed too, so that a read ends.
func (u *unixConn) Close() error { return u.end((*set).Close) }

// end closes the socket, which takes it out of the set, and leaves that to somebody: not
// under the lock, for a read that has the set may wait for it.
func (u *unixConn) end(leave func(*set) error) error {
	var s *set
	err := u.Control(func(fd uintptr) {
		_, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
		s, u.set = u.set, nil
	})
	if err != nil {
		return err
	}
	return leave(s)
}

// LocalAddr returns the listener's address.
func (u *unixConn) LocalAddr() net.Addr { return u.listener.Addr() }

// RemoteAddr returns that of a client without a name.
func (u *unixConn) RemoteAddr() net.Addr { return &net.UnixAddr{Name: "@", Net: "unix"} }
