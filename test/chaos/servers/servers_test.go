package servers

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestServers(t *testing.T) {
	for _, kind := range Kinds {
		s, err := Start(kind, t.TempDir(), "--appendonly", "yes", "--appendfsync", "always")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		want := func(want string, args ...string) {
			t.Helper()
			got, err := s.Do(args...)
			for range 100 { // a client of its own comes back on its own
				if err == nil {
					break
				}
				time.Sleep(20 * time.Millisecond)
				got, err = s.Do(args...)
			}
			if got != want || err != nil {
				t.Errorf("%s: %s: %q, %v", kind, args, got, err)
			}
		}
		want("OK", "SET", "a", "1")
		want("2", "INCR", "a")
		want("", "GET", "b")
		s.Kill()
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		want("2", "GET", "a")
		s.Kill()
		if err := s.Forget(); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		want("", "GET", "a")
		if _, err := s.Do("NONSENSE"); err == nil {
			t.Error("nonsense is no error")
		}
		s.Signal(syscall.SIGSTOP)
		s.Signal(syscall.SIGCONT)
		want("OK", "SET", "a", "1")
	}
}

func TestSettingsThatAreNone(t *testing.T) {
	if s, err := Start(Valkey, t.TempDir(), "--nonsense", "yes"); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("started as %v, %v", s, err)
	}
	if _, err := Start(Kind("nonesuch"), t.TempDir()); err == nil || !strings.Contains(err.Error(), "Debian's nonesuch-server, nonesuch-tools") {
		t.Errorf("a server that there is not: %v", err)
	}
}

// echo answers line by line.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					fmt.Fprintln(c, lines.Text())
				}
			}()
		}
	}()
	return l.Addr().String()
}

// What is sent through a partition arrives when it is healed, not before.
func TestProxy(t *testing.T) {
	p, err := NewProxy(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c, err := net.Dial("tcp", strings.TrimPrefix(p.URL(), "valkey://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	answers := bufio.NewReader(c)
	says := func(want string, wait time.Duration) {
		t.Helper()
		_ = c.SetReadDeadline(time.Now().Add(wait))
		got, err := answers.ReadString('\n')
		if want == "" && err == nil || want != "" && got != want+"\n" {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	fmt.Fprintln(c, "one")
	says("one", 10*time.Second)
	p.Partition()
	p.Partition()
	fmt.Fprintln(c, "two")
	says("", 50*time.Millisecond)
	p.Heal()
	p.Heal()
	says("two", 10*time.Second)
}

func TestSentinel(t *testing.T) {
	master, err := Start(Redis, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(master.Stop)
	s, err := StartSentinel(master, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	if info, err := s.Do("INFO", "sentinel"); err != nil || !strings.Contains(info, "name=mx") {
		t.Errorf("%s, %v", info, err)
	}
}
