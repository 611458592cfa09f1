package posttest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// freeAddr finds a port that nobody listens on, below those that the kernel
// hands out to clients.
func freeAddr(host string) (string, error) {
	if host == "" {
		host = "127.0.0.1"
	}
	var last error
	for range 50 {
		addr := net.JoinHostPort(host, strconv.Itoa(20000+rand.IntN(12000)))
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return addr, l.Close()
		}
		last = err
	}
	return "", fmt.Errorf("no free port on %s: %w", host, last)
}

// HasIPv6 reports whether this machine has ::1.
func HasIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	return err == nil && l.Close() == nil
}

func protocols() string {
	if HasIPv6() {
		return "all"
	}
	return "ipv4"
}
