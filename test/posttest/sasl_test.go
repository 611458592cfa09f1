package posttest

import (
	"bufio"
	"encoding/base64"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestSASLAnswers(t *testing.T) {
	s := &saslServer{users: map[string]string{"alice": "secret"}}
	plain := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	good := plain("\x00alice\x00secret")
	for _, c := range []struct{ line, want string }{
		{"VERSION\t1\t1", ""},
		{"CPID\t77", ""},
		{"AUTH\t1\tPLAIN\tservice=smtp\tnologin\tresp=" + good, "OK\t1\tuser=alice"},
		{"AUTH\t2\tPLAIN\tservice=smtp", "CONT\t2\t"},
		{"CONT\t2\t" + good, "OK\t2\tuser=alice"},
		{"AUTH\t3\tPLAIN\tresp=" + plain("\x00alice\x00wrong"), "FAIL\t3"},
		{"AUTH\t4\tPLAIN\tresp=" + plain("\x00mallory\x00"), "FAIL\t4"},
		{"AUTH\t5\tPLAIN\tresp=" + plain("alice"), "FAIL\t5"},
		{"AUTH\t6\tPLAIN\tresp=%", "FAIL\t6"},
		{"AUTH", ""},
		{"", ""},
	} {
		if got := s.answer(c.line); got != c.want {
			t.Errorf("%q: %q, want %q", c.line, got, c.want)
		}
	}
}

func FuzzSASL(f *testing.F) {
	f.Add("AUTH\t1\tPLAIN\tresp=AGFsaWNlAHNlY3JldA==")
	f.Add("CONT\t1\t")
	s := &saslServer{users: map[string]string{"alice": "secret"}}
	f.Fuzz(func(t *testing.T, line string) {
		if got := s.answer(line); strings.HasPrefix(got, "OK\t") && !strings.HasSuffix(got, "\tuser=alice") {
			t.Errorf("%q: %q", line, got)
		}
	})
}

func TestSASLServer(t *testing.T) {
	defer goleak.VerifyNone(t)
	path := filepath.Join(t.TempDir(), "sasl")
	s, err := newSASL(path, map[string]string{"alice": "secret"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	lines := bufio.NewScanner(c)
	for lines.Scan() && lines.Text() != "DONE" {
	}
	if _, err := c.Write([]byte("VERSION\t1\t1\nCPID\t1\nAUTH\t9\tPLAIN\tresp=AGFsaWNlAHNlY3JldA==\n")); err != nil {
		t.Fatal(err)
	}
	if lines.Scan(); lines.Text() != "OK\t9\tuser=alice" {
		t.Errorf("%q, %v", lines.Text(), lines.Err())
	}
	if err := s.Close(); err != nil { // with a client still there
		t.Error(err)
	}
	if _, err := newSASL(filepath.Join(path, "no", "directory"), nil); err == nil {
		t.Error("a socket in no directory")
	}
}
