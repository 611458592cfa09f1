package status_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// browser is a headless Chromium that is spoken to by the DevTools protocol,
// over two pipes: messages end with a NUL.
type browser struct {
	t    *testing.T
	cmd  *exec.Cmd
	to   *os.File
	gone chan struct{}

	mu      sync.Mutex
	last    int
	waiting map[int]chan message
	events  chan message
}

type message struct {
	ID        int             `json:"id,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// startBrowser starts one that ends with the test.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := chromium(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	theirIn, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile := t.TempDir()
	b := &browser{t: t, to: to, gone: make(chan struct{}), waiting: make(map[int]chan message), events: make(chan message, 10_000)}
	b.cmd = exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
		"--hide-scrollbars", "--user-data-dir="+profile, "--remote-debugging-pipe")
	b.cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	b.cmd.Env = append(os.Environ(), "HOME="+profile)
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	go b.read(from)
	t.Cleanup(b.stop)
	return b
}

// stop asks it to end, and then makes it.
func (b *browser) stop() {
	b.mu.Lock()
	fmt.Fprintf(b.to, `{"id":0,"method":"Browser.close"}`+"\x00")
	b.mu.Unlock()
	select {
	case <-b.gone:
	case <-time.After(5 * time.Second):
	}
	_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL) // its helpers too
	_ = b.cmd.Wait()
	<-b.gone
	b.to.Close()
}

// read sorts replies from events until the browser ends.
func (b *browser) read(from *os.File) {
	defer close(b.gone)
	defer from.Close()
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(line[:len(line)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		waits := b.waiting[m.ID]
		delete(b.waiting, m.ID)
		b.mu.Unlock()
		switch {
		case waits != nil:
			waits <- m
		case m.Method != "":
			select {
			case b.events <- m:
			default: // a test that doesn't look
			}
		}
	}
}

// call asks and waits for the answer.
func (b *browser) call(session, method string, params, result any) {
	b.t.Helper()
	if err := b.try(session, method, params, result); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
}

func (b *browser) try(session, method string, params, result any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	answer := make(chan message, 1)
	b.mu.Lock()
	b.last++
	m := message{ID: b.last, SessionID: session, Method: method, Params: raw}
	b.waiting[m.ID] = answer
	line, err := json.Marshal(m)
	if err == nil {
		_, err = b.to.Write(append(line, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case m = <-answer:
	case <-b.gone:
		return errors.New("Chromium ended")
	case <-time.After(time.Minute):
		return errors.New("no answer")
	}
	if m.Error != nil {
		return errors.New(m.Error.Message)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(m.Result, result)
}

// chromium finds Chromium, and as root on Debian installs it where it is
// missing.
func chromium(ctx context.Context) (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	unlock, err := lockFile("chromium.lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if apt(ctx, "install", "--yes", "--no-install-recommends", "chromium") != nil {
		if err := errors.Join(apt(ctx, "update"), apt(ctx, "install", "--yes", "--no-install-recommends", "chromium")); err != nil {
			return "", fmt.Errorf("the test of the page needs Chromium: as root on Debian it is installed, else install it yourself: %w", err)
		}
	}
	return exec.LookPath("chromium")
}

func apt(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=300", "--quiet"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w: %.500s", args[0], err, out)
	}
	return nil
}

// cacheDir is where tests keep what they fetched.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	dir := filepath.Join(base, "tlsratchet")
	return dir, os.MkdirAll(dir, 0o755)
}

// lockFile waits for other tests that fetch the same.
func lockFile(name string) (unlock func(), err error) {
	dir, err := cacheDir()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { f.Close() }, nil
}
