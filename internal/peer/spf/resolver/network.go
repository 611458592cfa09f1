package resolver

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
)

// Exchange asks one question of the network and returns the answer with how
// long it may be kept. An error wraps [ErrNotFound] or is a failure; its time
// counts too.
type Exchange func(context.Context, Question) (Answer, time.Duration, error)

// systemFile names the system's resolvers.
const systemFile = "/etc/resolv.conf"

// maxServers is how many of them are asked, as everybody does (resolv.conf(5)).
const maxServers = 3

// Network returns the Exchange that asks the given server, or with the zero
// AddrPort the system's, which are read anew each time: they change with the
// network that a machine is in.
func Network(server netip.AddrPort) Exchange {
	servers := func() []netip.AddrPort { return []netip.AddrPort{server} }
	if !server.IsValid() {
		servers = func() []netip.AddrPort {
			text, err := os.ReadFile(systemFile)
			if err != nil {
				text = nil
			}
			return systemServers(string(text))
		}
	}
	return func(ctx context.Context, q Question) (Answer, time.Duration, error) {
		return exchange(ctx, q, servers())
	}
}

// systemServers reads the nameserver lines of resolv.conf. Without any it is
// this machine.
func systemServers(text string) (servers []netip.AddrPort) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" || len(servers) == maxServers {
			continue
		}
		if ip, err := netip.ParseAddr(fields[1]); err == nil {
			servers = append(servers, netip.AddrPortFrom(ip, 53))
		}
	}
	if servers == nil {
		servers = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}
	}
	return servers
}

// exchange asks each server in turn, and all of them twice, within the time
// that ctx leaves.
func exchange(ctx context.Context, q Question, servers []netip.AddrPort) (a Answer, ttl time.Duration, err error) {
	const rounds = 2
	try := time.Second
	if deadline, ok := ctx.Deadline(); ok {
		try = time.Until(deadline) / time.Duration(rounds*len(servers))
	}
	for range rounds {
		for _, server := range servers {
			a, ttl, err = exchangeOne(ctx, q, server, try)
			if err == nil || errors.Is(err, ErrNotFound) || ctx.Err() != nil {
				return a, ttl, err
			}
		}
	}
	return Answer{}, failureTTL, err
}

// exchangeOne asks one server, by UDP for at most the given time, and by TCP if
// the answer doesn't fit.
func exchangeOne(ctx context.Context, q Question, server netip.AddrPort, try time.Duration) (Answer, time.Duration, error) {
	short, cancel := context.WithTimeout(ctx, try)
	defer cancel()
	a, ttl, err := over(short, "udp", q, server)
	if errors.Is(err, errTruncated) {
		a, ttl, err = over(ctx, "tcp", q, server)
	}
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrFailed) {
		return Answer{}, failureTTL, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	return a, ttl, err
}

func over(ctx context.Context, network string, q Question, server netip.AddrPort) (Answer, time.Duration, error) {
	var id [2]byte
	if _, err := rand.Read(id[:]); err != nil {
		return Answer{}, 0, err
	}
	msg, err := pack(q, binary.BigEndian.Uint16(id[:]))
	if err != nil {
		return Answer{}, 0, err
	}
	// A socket for each question: a port that nobody can foresee (RFC 5452),
	// connected, so that only the server's packets come in.
	conn, err := new(net.Dialer).DialContext(ctx, network, server.String())
	if err != nil {
		return Answer{}, 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if network == "tcp" {
		return overTCP(conn, msg, q)
	}
	return overUDP(conn, msg, q)
}

func overUDP(conn net.Conn, msg []byte, q Question) (Answer, time.Duration, error) {
	if _, err := conn.Write(msg); err != nil {
		return Answer{}, 0, err
	}
	var buf [udpSize]byte
	for {
		n, err := conn.Read(buf[:])
		if err != nil {
			return Answer{}, 0, err
		}
		a, ttl, err := parse(buf[:n], q, binary.BigEndian.Uint16(msg))
		if !errors.Is(err, errForeign) {
			return a, ttl, err
		}
	}
}

// overTCP exchanges messages with their length before them (RFC 1035 section
// 4.2.2).
func overTCP(conn net.Conn, msg []byte, q Question) (Answer, time.Duration, error) {
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(msg)))
	if _, err := conn.Write(append(framed, msg...)); err != nil {
		return Answer{}, 0, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return Answer{}, 0, err
	}
	reply := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, reply); err != nil {
		return Answer{}, 0, err
	}
	return parse(reply, q, binary.BigEndian.Uint16(msg))
}
