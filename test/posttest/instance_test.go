package posttest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tlsratchet/test/posttest"
)

func TestNewRefuses(t *testing.T) {
	if err := install(); err != nil {
		t.Fatal(err)
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(t.TempDir(), "closed", "in")
	if err := os.MkdirAll(filepath.Dir(closed), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		dir  string
		opts posttest.Options
		want string
	}{
		"a full directory":       {full, posttest.Options{}, "is not empty"},
		"an unreachable one":     {closed, posttest.Options{}, "is closed to Postfix's user"},
		"a part that isn't":      {"", posttest.Options{Parts: []string{"main.cf.none"}}, "main.cf.none"},
		"a file that isn't":      {"", posttest.Options{Listeners: []posttest.Listener{{File: "none"}}}, "none"},
		"a service that isn't":   {"", posttest.Options{Listeners: []posttest.Listener{{File: "master.cf.submission", Service: "x"}}}, `no inet service "x"`},
		"somebody else's number": {"", posttest.Options{Listeners: []posttest.Listener{{Host: "192.0.2.1"}}}, "no free port"},
	} {
		in, err := posttest.New(c.dir, c.opts)
		if err == nil {
			in.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(full, "x")); err != nil {
		t.Error("the full directory was emptied")
	}
}

func TestStartStop(t *testing.T) {
	in := create(t, posttest.Options{})
	ctx := deadline(t)
	if lines, err := in.Log().Lines(); len(lines) > 0 || err != nil {
		t.Errorf("a log before the start: %q, %v", lines, err)
	}
	if err := in.Stop(); err != nil {
		t.Errorf("stop before start: %v", err)
	}
	for range 2 {
		if err := in.Start(ctx); err != nil {
			t.Fatal(err)
		}
		if err := in.Start(ctx); err == nil {
			t.Error("started twice")
		}
		send(t, connect(t, posttest.Peer{Server: in.Addr(0)}), "hello")
		receive(t, in, "hello")
		if err := in.Stop(); err != nil {
			t.Fatal(err)
		}
		if c, err := net.Dial("tcp", in.Addr(0)); err == nil {
			c.Close()
			t.Error("somebody still listens")
		}
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(in.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
}

// A start that fails says why, from the log, and leaves nothing behind. Since
// Postfix 3.10 the reason itself is lost where its own log daemon never started.
func TestStartFails(t *testing.T) {
	in := create(t, posttest.Options{Users: map[string]string{"a": "b"}})
	taken, err := net.Listen("tcp", in.Addr(0))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	err = in.Start(deadline(t))
	if text := strings.ToLower(fmt.Sprint(err)); err == nil || !strings.Contains(text, "in use") && !strings.Contains(text, "startup failed") {
		t.Errorf("%v", err)
	}
	if err := in.Stop(); err != nil {
		t.Error(err)
	}
}

func TestNoWarnings(t *testing.T) {
	in := start(t, posttest.Options{Parts: []string{
		"main.cf.tls", "main.cf.client-certs", "main.cf.header_checks",
	}, XClient: true})
	send(t, connect(t, posttest.Peer{Server: in.Addr(0), TLS: in.ClientTLS()}), "hello")
	receive(t, in, "hello")
	lines, err := in.Log().Lines()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if regexp.MustCompile(`\b(warning|error|fatal|panic)\b`).MatchString(line) {
			t.Error(line)
		}
	}
}

// playOrphan is the program that will be killed: see TestKilled.
func playOrphan() {
	in, err := posttest.New(os.Getenv(orphan), posttest.Options{})
	if err != nil {
		panic(err)
	}
	if err := in.Start(context.Background()); err != nil {
		panic(err)
	}
	os.Stdout.WriteString(in.Addr(0) + "\n")
	select {}
}

// However the program ends, its Postfix ends too.
func TestKilled(t *testing.T) {
	if err := install(); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "posttest")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), orphan+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", strings.TrimSpace(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	gone := func() bool {
		c, err := net.Dial("tcp", strings.TrimSpace(addr))
		if err == nil {
			c.Close()
		}
		return err != nil
	}
	waitFor(t, gone)
}
