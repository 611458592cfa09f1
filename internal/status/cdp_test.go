package status_test

import (
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

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tab is the page of a headless Chromium, with what went wrong in it.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu sync.Mutex
	// complaints are errors on its console, requests all that it asked for.
	complaints, requests []string
}

// startBrowser starts a Chromium that ends with the test.
func startBrowser(t *testing.T) *tab {
	t.Helper()
	path, err := chromium(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true))...)
	t.Cleanup(cancel)
	tb := &tab{t: t}
	tb.ctx, cancel = chromedp.NewContext(ctx, chromedp.WithErrorf(t.Logf), chromedp.WithListener(tb.note))
	t.Cleanup(cancel)
	call(tb, network.Enable, network.EnableParams{})
	return tb
}

func (tb *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	if err := chromedp.Do(tb.ctx, steps...); err != nil {
		tb.t.Fatal(err)
	}
}

// call sends a command of the protocol.
func call[P, R any](tb *tab, command cdp.Command[P, R], params P) {
	tb.t.Helper()
	if _, err := chromedp.Call(tb.ctx, command, params); err != nil {
		tb.t.Fatalf("%s: %v", command.Method, err)
	}
}

// note keeps what a test wants to know of an event.
func (tb *tab) note(event any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled, *runtime.EventExceptionThrown, *cdplog.EventEntryAdded, *page.EventJavascriptDialogOpening:
		text, _ := json.Marshal(e)
		tb.complaints = append(tb.complaints, fmt.Sprintf("%T: %s", e, text))
	case *network.EventRequestWillBeSent:
		tb.requests = append(tb.requests, e.Request.URL)
	}
}

// complained fails for each complaint.
func (tb *tab) complained() {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	for _, c := range tb.complaints {
		tb.t.Error(c)
	}
}

// look sets the size of the window and the scheme of colours.
func (tb *tab) look(l look) {
	tb.t.Helper()
	tb.do(chromedp.EmulateViewport(l.width, l.height))
	scheme := &emulation.MediaFeature{Name: "prefers-color-scheme", Value: l.scheme}
	call(tb, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{scheme}})
}

// open opens a page and waits until it is loaded.
func (tb *tab) open(url string) {
	tb.t.Helper()
	tb.do(chromedp.Navigate(url))
}

// eval returns the value of an expression.
func eval[V any](tb *tab, expression string) V {
	tb.t.Helper()
	value, err := chromedp.Run(tb.ctx, chromedp.Evaluate[V](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		tb.t.Fatalf("%.80s: %v", expression, err)
	}
	return value
}

// shoot takes a picture of the whole page, kept with go test -artifacts.
func (tb *tab) shoot(name string) {
	tb.t.Helper()
	png, err := chromedp.Run(tb.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(tb.t.ArtifactDir(), name+".png"), png, 0o644)
	}
	if err != nil {
		tb.t.Fatal(err)
	}
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
