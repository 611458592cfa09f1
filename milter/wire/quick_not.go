//go:build !linux || race

package wire

import "net"

// quick returns the connection as it is: only Linux has system calls for all,
// and the race detector follows those of the net package alone.
func quick(c net.Conn) net.Conn { return c }
