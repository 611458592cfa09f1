package posttest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
)

// Strip is the man in the middle of RFC 3207 section 6: a TCP proxy that, while
// it is on, deletes STARTTLS from the server's EHLO replies. The server sees
// the client's own address, which must be one of loopback. It begins switched
// off.
type Strip struct {
	listener net.Listener
	target   string
	on       atomic.Bool
	deleted  atomic.Int64
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

// NewStrip listens on a free port of host ("127.0.0.1", "::1") for clients of
// the server at target, host:port. Close it.
func NewStrip(host, target string) (*Strip, error) {
	addr, err := freeAddr(host)
	if err != nil {
		return nil, fmt.Errorf("strip: %w", err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("strip: %w", err)
	}
	s := &Strip{listener: l, target: target}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wg.Go(s.accept)
	return s, nil
}

// Addr is where clients connect, host:port.
func (s *Strip) Addr() string { return s.listener.Addr().String() }

// Set switches the deletion on or off, for sessions that begin from now on.
func (s *Strip) Set(on bool) { s.on.Store(on) }

// Deleted is how many offers of STARTTLS were deleted.
func (s *Strip) Deleted() int64 { return s.deleted.Load() }

// Close cuts all sessions and waits until they are gone.
func (s *Strip) Close() error {
	s.cancel()
	err := s.listener.Close()
	s.wg.Wait()
	return err
}

func (s *Strip) accept() {
	for {
		client, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.wg.Go(func() { s.session(client) })
	}
}

// session passes both ways until one side is done, or the proxy is closed.
func (s *Strip) session(client net.Conn) {
	defer client.Close()
	strip := s.on.Load()
	from := *client.RemoteAddr().(*net.TCPAddr)
	from.Port = 0
	dialer := net.Dialer{LocalAddr: &from}
	server, err := dialer.DialContext(s.ctx, "tcp", s.target)
	if err != nil {
		return
	}
	defer server.Close()
	defer context.AfterFunc(s.ctx, func() { client.Close(); server.Close() })()
	var wg sync.WaitGroup
	wg.Go(func() { forward(server, client) })
	wg.Go(func() {
		replies := bufio.NewReader(server)
		if strip && s.strip(client, replies) != nil {
			client.Close()
			return
		}
		forward(client, replies)
	})
	wg.Wait()
}

// forward copies to the end, and ends the other side too.
func forward(to net.Conn, from io.Reader) {
	_, err := io.Copy(to, from)
	if c, ok := to.(*net.TCPConn); ok && err == nil {
		c.CloseWrite()
		return
	}
	to.Close()
}

// strip passes replies on by lines, without offers of STARTTLS. A client that
// asks for TLS all the same gets it: from then on nothing is changed, and strip
// returns nil. It also returns at the end of the replies.
func (s *Strip) strip(to io.Writer, replies *bufio.Reader) error {
	var held string // a line of an EHLO reply, until we know whether it is the last
	for {
		line, err := replies.ReadString('\n')
		if offer, last := isOffer(line); offer {
			s.deleted.Add(1)
			line = ""
			if last && held != "" {
				line, held = "250 "+held[len("250-"):], ""
			}
		}
		out := held + line
		held = ""
		if strings.HasPrefix(line, "250-") && err == nil {
			out, held = strings.TrimSuffix(out, line), line
		}
		if _, werr := io.WriteString(to, out); werr != nil {
			return werr
		}
		if errors.Is(err, io.EOF) || strings.HasPrefix(line, "220 ") && strings.Contains(line, "TLS") {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// isOffer reports whether a line of a reply offers STARTTLS, and whether it is
// the reply's last one.
func isOffer(line string) (offer, last bool) {
	keyword := strings.ToUpper(strings.TrimSpace(line))
	return keyword == "250-STARTTLS" || keyword == "250 STARTTLS", strings.HasPrefix(line, "250 ")
}
