package outbound

import (
	"net"
	"syscall"
)

// peerPID returns the process at the other end of a unix socket, as it was when
// it connected (SO_PEERCRED, unix(7)); 0 if that can't be known. It is the one
// in "postfix/smtp[pid]", chrooted or not.
func peerPID(c net.Conn) (pid uint32) {
	u, ok := c.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			pid = uint32(cred.Pid)
		}
	})
	return pid
}
