package shared

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valkey-io/valkey-go"
)

// hostile are replies at which the client library panics, or allocates what it
// is ordered to.
var hostile = []string{
	"*2000000000\r\n", "*-5\r\n", "~-1\r\n", "%-1\r\n", "$-5\r\n", "$2000000000\r\n", ">2000000000\r\n", "%2000000000\r\n",
	"%2147483647\r\n", "*2\r\n$1\r\nx\r\n$2147483647\r\n", "$-0\r\n", "~2000000000\r\n", "*99999999999999999999\r\n", "$?\r\n", "*?\r\n", ";4\r\n", "|1\r\n", ".\r\n",
	">2\r\n+subscribe\r\n+x\r\n", ">0\r\n", "*1\r\n>1\r\n+x\r\n", "+QUEUED\r\n",
	"-MOVED\r\n", "-MOVED 1\r\n", "-ASK 1\r\n", "-REDIRECT\r\n", ":\r\n", ":+1\r\n", ":1x\r\n", ":1a\r\n", "_x\r\n", "#x\r\n",
	"\n", "\r\n", "+\n", "!3\r\nERR\r\n",
	strings.Repeat("*1\r\n", 9), strings.Repeat("*60000\r\n", 3), "$1048577\r\n",
	"+" + strings.Repeat("x", maxLine),
	"*2\r\n$600000\r\n" + strings.Repeat("x", 600_000) + "\r\n$600000\r\n",
}

// sound are replies that servers send.
var sound = []string{
	"+OK\r\n", "-ERR no\r\n", "-MOVED 7000 127.0.0.1:7001\r\n", "-ASK 7000 127.0.0.1:7001\r\n", "-REDIRECT 127.0.0.1:7001\r\n", ":-12\r\n", "$-1\r\n", "*-1\r\n", "$0\r\n\r\n", "*0\r\n", "%0\r\n",
	"$5\r\na\r\nb\n\r\n", "_\r\n", "#t\r\n", ",1.5\r\n", "(123456789012345678901234567890\r\n", "=7\r\ntxt:abc\r\n",
	"%2\r\n+server\r\n+valkey\r\n+modules\r\n*0\r\n", "*3\r\n*2\r\n:1\r\n:2\r\n$1\r\nx\r\n~1\r\n_\r\n",
}

// pieces reads a text in pieces of n bytes.
type pieces struct {
	net.Conn
	text string
	n    int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.text == "" {
		return 0, io.EOF
	}
	n := copy(b, p.text[:min(p.n, len(p.text))])
	p.text = p.text[n:]
	return n, nil
}

func (p *pieces) Write(b []byte) (int, error) { return len(b), nil }

func TestGuard(t *testing.T) {
	for _, n := range []int{1, 3, 1 << 20} {
		for _, text := range sound {
			if err := throughGuard(text+text, 2, n); err != io.EOF {
				t.Errorf("%q: %v", text, err)
			}
			if err := throughGuard(text+text, 1, n); !errors.Is(err, errReply) {
				t.Errorf("%q twice to one command: %v", text, err)
			}
		}
		for _, text := range hostile {
			if err := throughGuard(text, 9, n); !errors.Is(err, errReply) {
				t.Errorf("%.40q: %v", text, err)
			}
		}
	}
}

// throughGuard reads a text as the replies to some commands.
func throughGuard(text string, commands, n int) error {
	g := newGuard(&pieces{text: text, n: n}, false)
	for range commands {
		if _, err := g.Write([]byte("*2\r\n$3\r\nGET\r\n$1\r\nx\r\n")); err != nil {
			return err
		}
	}
	_, err := io.Copy(io.Discard, struct{ io.Reader }{g})
	if err == nil {
		err = io.EOF
	}
	return err
}

// What a reply may announce is counted for each, and of a malformed one nothing
// is read, ever.
func TestGuardCountsEachReply(t *testing.T) {
	half := fmt.Sprintf("$%d\r\n%s\r\n", maxBulk/2, strings.Repeat("x", maxBulk/2))
	if err := throughGuard(half+half+half, 3, 1<<20); err != io.EOF {
		t.Errorf("three of half the bytes: %v", err)
	}
	if err := throughGuard("*2\r\n"+half+half, 1, 1<<20); err != io.EOF {
		t.Errorf("one of all the bytes: %v", err)
	}
	if err := throughGuard("*3\r\n"+half+half+half, 1, 1<<20); !errors.Is(err, errReply) {
		t.Errorf("one of more bytes: %v", err)
	}
	g := newGuard(&pieces{text: "*1\r\n", n: 100}, false)
	g.unanswered.Add(1)
	for range 2 {
		if n, err := g.Read(make([]byte, 100)); n != 0 || err == nil {
			t.Errorf("of a reply that was cut short %d bytes were read, %v", n, err)
		}
	}
}

// Every connection has a guard, and time limits; only Sentinel may send what is
// no reply.
func TestConnectionsAreGuarded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for set, pushes := range map[string]bool{"": false, "?master_set=mx": true} {
		o := Options{URL: "valkey://" + l.Addr().String() + set}.withDefaults()
		option, err := clientOption(&o)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := option.DialCtxFn(t.Context(), l.Addr().String(), &option.Dialer, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if g, ok := conn.(*guard); !ok || g.pushes != pushes {
			t.Errorf("%q: %+v", set, conn)
		}
		if option.Dialer.Timeout != dialTimeout || option.ConnWriteTimeout != replyTimeout || option.Sentinel.Dialer.Timeout != dialTimeout || !option.DisableRetry {
			t.Errorf("%q: %+v", set, option)
		}
	}
}

// After which errors the password is read again.
func TestDenied(t *testing.T) {
	for text, want := range map[string]bool{"NOAUTH x": true, "WRONGPASS x": true, "NOPERM x": true, "NOPERMIT": false, "OOM x": false} {
		client, end := impostorClient(t, "-"+text+"\r\n")
		if err := client.Do(t.Context(), client.B().Info().Build()).Error(); err == nil || isDenied(err) != want {
			t.Errorf("%v: denied: %v, want %v", err, isDenied(err), want)
		}
		end()
	}
	for _, err := range []error{nil, errors.New("WRONGPASS"), ErrAway} {
		if isDenied(err) {
			t.Errorf("%v is no answer of a server", err)
		}
	}
}

func TestGuardLetsSentinelPush(t *testing.T) {
	g := newGuard(&pieces{text: ">3\r\n+message\r\n+a\r\n+b\r\n>0\r\n", n: 22}, true)
	if n, err := g.Read(make([]byte, 100)); n != 22 || err != nil {
		t.Errorf("a push: %d bytes, %v", n, err)
	}
	if _, err := g.Read(make([]byte, 100)); !errors.Is(err, errReply) {
		t.Errorf("an empty push: %v", err)
	}
}

// impostor answers the greeting as a server does, and then with the text.
type impostor struct{ text string }

const greeting = "%2\r\n+proto\r\n:3\r\n+version\r\n+8.0.0\r\n+OK\r\n+OK\r\n"

func (i *impostor) serve(conn net.Conn) {
	defer conn.Close()
	r, answered := bufio.NewReader(conn), false
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		answer := ""
		switch {
		case strings.HasPrefix(line, "HELLO"):
			answer = greeting
		case strings.HasPrefix(line, "PING"): // before the client closes
			answer = "+PONG\r\n"
		case strings.HasPrefix(line, "INFO"), strings.HasPrefix(line, "GETRANGE"), strings.HasPrefix(line, "SCAN"):
			if answered {
				return
			}
			answer, answered = i.text, true
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

// asksImpostor asks an impostor as the store asks a server, and waits until the
// library has read all of the answer or given up.
func asksImpostor(tb testing.TB, text string) {
	client, end := impostorClient(tb, text)
	defer end()
	ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Millisecond)
	defer cancel()
	v := &server{client, new(atomic.Uint64)}
	_, _ = v.get(ctx, []string{"a"})
	_, _ = v.masters(ctx)
	_ = v.scan(ctx, "a", func([]string) error { return nil })
}

// impostorClient returns a client of an impostor.
func impostorClient(tb testing.TB, text string) (client valkey.Client, end func()) {
	option, err := clientOption(&Options{URL: "valkey://192.0.2.1"})
	if err != nil {
		tb.Fatal(err)
	}
	option.ForceSingleClient = true
	ended := make(chan struct{})
	option.DialCtxFn = func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go (&impostor{text}).serve(theirs)
		go func() { <-ended; _ = theirs.SetReadDeadline(time.Now()) }() // it closes once its answer is read
		return newGuard(ours, false), nil
	}
	if client, err = valkey.NewClient(option); err != nil {
		tb.Fatal(err)
	}
	return client, func() {
		close(ended) // else Close waits a second for the rest of an answer that was cut short
		client.Close()
	}
}

// A server that is broken, or an impostor, is an error and not a panic.
func TestImpostors(t *testing.T) {
	for _, text := range append(hostile, sound...) {
		asksImpostor(t, text)
	}
}

// FuzzReplies: whatever a server answers, the process lives.
func FuzzReplies(f *testing.F) {
	for _, text := range append(hostile, sound...) {
		if len(text) < 200 {
			f.Add(text)
		}
	}
	f.Add("$21\r\nrole:master\r\nrun_id:1\r\n*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n")
	f.Fuzz(func(t *testing.T, text string) { asksImpostor(t, text) })
}

// FuzzInfo: the lines of INFO.
func FuzzInfo(f *testing.F) {
	f.Add("# Server\r\nrun_id:abc\r\nrole:master\r\nevicted_keys:1\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		for name, value := range parseInfo(text) {
			if strings.Contains(name, ":") || !strings.Contains(text, name+":"+value) {
				t.Errorf("%q is %q", name, value)
			}
		}
	})
}
