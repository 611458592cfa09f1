package account

import (
	"net"
	"syscall"
)

// Peer returns the process and the user at the other end of a unix socket, as they
// were when it connected (SO_PEERCRED, unix(7)). ok is false where that can't be
// known.
func Peer(c net.Conn) (pid, uid uint32, ok bool) {
	socket, isSocket := c.(syscall.Conn)
	if !isSocket {
		return 0, 0, false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, 0, false
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil && cred.Uid != ^uint32(0) { // nobody: it is no unix socket
			pid, uid, ok = uint32(cred.Pid), cred.Uid, true
		}
	})
	return pid, uid, ok
}
