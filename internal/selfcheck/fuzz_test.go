package selfcheck_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/selfcheck"
)

// replies is a connection to a server whose replies are fixed.
type replies struct {
	net.Conn // nil: only what is below is used
	*strings.Reader
}

func (c replies) Read(p []byte) (int, error)     { return c.Reader.Read(p) }
func (replies) Write(p []byte) (int, error)      { return len(p), nil }
func (replies) Close() error                     { return nil }
func (replies) SetDeadline(time.Time) error      { return nil }
func (replies) SetReadDeadline(time.Time) error  { return nil }
func (replies) SetWriteDeadline(time.Time) error { return nil }

// FuzzReplies: whatever a server replies, a probe ends, and what is shown of it
// is clean and short. Text alone never passes for a handshake.
func FuzzReplies(f *testing.F) {
	f.Add("220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go on\r\n\x15\x03\x01\x00\x02\x02\x28")
	f.Add("220-mx\r\n220 mx\r\n250-mx\r\n250 PIPELINING\r\n221 bye\r\n")
	f.Add("554 no\x1b[2J\r\n")
	f.Add("220 mx\r\n502 no\r\n250 mx\r\n454 4.7.0 no TLS now\xff\r\n")
	f.Add("220 " + strings.Repeat("x", 70_000))
	f.Add(strings.Repeat("x", 7000) + "\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		dial := func(context.Context, string, string) (net.Conn, error) {
			return replies{Reader: strings.NewReader(text)}, nil
		}
		r := selfcheck.Probe(t.Context(), dial, "mx.test:25")
		if r.Handshake || r.Err == nil {
			t.Fatalf("%+v", r)
		}
		if s := r.Err.Error(); len(s) > 1000 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("not clean, or long: %d bytes, %.100q", len(s), s)
		}
	})
}
