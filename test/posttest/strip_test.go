package posttest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"
)

func TestStripReplies(t *testing.T) {
	for name, c := range map[string]struct {
		in, want string
		deleted  int64
	}{
		"in the middle": {"250-mx\r\n250-STARTTLS\r\n250 DSN\r\n", "250-mx\r\n250 DSN\r\n", 1},
		"at the end":    {"250-mx\r\n250-SIZE 1\r\n250 STARTTLS\r\n", "250-mx\r\n250 SIZE 1\r\n", 1},
		"after one":     {"250-mx\r\n250 starttls\r\n", "250 mx\r\n", 1},
		"not offered":   {"220 mx ESMTP\r\n250-mx\r\n250 DSN\r\n", "220 mx ESMTP\r\n250-mx\r\n250 DSN\r\n", 0},
		"twice":         {"250-mx\r\n250 STARTTLS\r\n250-mx\r\n250-STARTTLS\r\n250 DSN\r\n", "250 mx\r\n250-mx\r\n250 DSN\r\n", 2},
		"other lines":   {"250 2.1.0 Ok\r\n354 End\r\n250-STARTTLSX\r\n250 x\r\n", "250 2.1.0 Ok\r\n354 End\r\n250-STARTTLSX\r\n250 x\r\n", 0},
		"cut short":     {"250-mx\r\n250-SI", "250-mx\r\n250-SI", 0},
		"empty":         {"", "", 0},
	} {
		for _, slow := range []bool{false, true} {
			var r io.Reader = strings.NewReader(c.in)
			if slow {
				r = iotest.OneByteReader(r)
			}
			var s Strip
			var out bytes.Buffer
			if err := s.strip(&out, bufio.NewReader(r)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if out.String() != c.want || s.Deleted() != c.deleted {
				t.Errorf("%s: %q, %d deleted; want %q, %d", name, &out, s.Deleted(), c.want, c.deleted)
			}
		}
	}
}

// A client that sends STARTTLS unasked gets TLS; its bytes are no lines.
func TestStripLetsTLSPass(t *testing.T) {
	in := bufio.NewReader(strings.NewReader("220 2.0.0 Ready to start TLS\r\n\x16\x03\x03"))
	var out bytes.Buffer
	if err := new(Strip).strip(&out, in); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(in)
	if string(rest) != "\x16\x03\x03" || !strings.HasPrefix(out.String(), "220 ") {
		t.Errorf("%q, %q", &out, rest)
	}
}

func TestStripErrors(t *testing.T) {
	broken := errors.New("broken")
	if err := new(Strip).strip(io.Discard, bufio.NewReader(iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := NewStrip("192.0.2.1", "127.0.0.1:1"); err == nil {
		t.Error("listening on an address of somebody else")
	}
}

func FuzzStrip(f *testing.F) {
	f.Add("220 mx\r\n250-mx\r\n250-STARTTLS\r\n250 DSN\r\n")
	f.Add("250-a\n250 STARTTLS\n250")
	f.Add("250 STARTTLS\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		var s Strip
		var out bytes.Buffer
		r := bufio.NewReader(strings.NewReader(in))
		if err := s.strip(&out, r); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if offer, _ := isOffer(line); offer {
				t.Errorf("%q still offers STARTTLS: %q", in, &out)
			}
		}
		rest, _ := io.ReadAll(r)
		if s.Deleted() == 0 && out.String()+string(rest) != in {
			t.Errorf("%q became %q", in, out.String()+string(rest))
		}
	})
}

// greeter says from where a client came, then repeats what it says.
func greeter(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			fmt.Fprintf(c, "220 %s\r\n250-mx\r\n250 STARTTLS\r\n", host)
			io.Copy(c, c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func TestStripKeepsTheAddress(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	s, err := NewStrip("", greeter(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, want string
		on         bool
	}{
		{"127.0.0.7", "220 127.0.0.7\r\n250-mx\r\n250 STARTTLS\r\nQUIT\r\n", false},
		{"127.0.0.8", "220 127.0.0.8\r\n250 mx\r\nQUIT\r\n", true},
		{"127.0.0.7", "220 127.0.0.7\r\n250-mx\r\n250 STARTTLS\r\nQUIT\r\n", false},
	} {
		s.Set(c.on)
		if got := talk(t, s.Addr(), c.from); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if s.Deleted() != 1 {
		t.Errorf("%d deleted", s.Deleted())
	}
	open, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := s.Close(); err != nil { // with a session still open
		t.Error(err)
	}
}

// talk says QUIT, closes its side, and returns all that came.
func talk(t *testing.T, addr, from string) string {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("QUIT\r\n")); err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).CloseWrite()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A server that isn't there closes the client's connection.
func TestStripWithoutServer(t *testing.T) {
	addr, err := freeAddr("")
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewStrip("", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, _ := io.ReadAll(c); len(b) > 0 {
		t.Errorf("%q", b)
	}
}
