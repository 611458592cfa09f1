//go:build !linux || race || 386 || s390x

package wire

import "net"

// quick returns the listener as it is: only Linux has system calls for all, on 386 and
// s390x accept4(2) is one since 4.3 alone, where Go runs on 3.2, and the race detector
// follows those of the net package.
func quick(l net.Listener) net.Listener { return l }

const unixDescriptors = 1

func retire(c net.Conn) error { return c.Close() }
