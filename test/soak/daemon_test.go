package soak

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tlsratchet/milter/wire"
)

// program is tlsratchet, built for this run. It is never built for the race
// detector, whose memory is not the daemon's.
var program string

func build(dir string) error {
	program = filepath.Join(dir, "tlsratchet")
	out, err := exec.Command("go", "build", "-o", program, "tlsratchet/cmd/tlsratchet").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}

// daemon is the real program in a process of its own, by its defaults but for
// its places.
type daemon struct {
	t                      *testing.T
	cmd                    *exec.Cmd
	socket, admin, history string
	page                   string // of its metrics
	log                    lines
	peak                   *peak
}

// serve starts a daemon on a history file, with further lines of config.
// A descriptors of more than 0 is all that it may have open.
func serve(t *testing.T, history, config string, descriptors int) *daemon {
	t.Helper()
	dir := t.TempDir()
	d := &daemon{
		t: t, history: history, page: "http://" + freePort(t) + "/metrics",
		socket: filepath.Join(dir, "m"), admin: filepath.Join(dir, "a"),
	}
	file := filepath.Join(dir, "tlsratchet.toml")
	config += fmt.Sprintf("\n[status]\nlisten = %q\n[admin]\nsocket = %q\n[selfcheck]\naddress = \"off\"\n",
		strings.TrimSuffix(strings.TrimPrefix(d.page, "http://"), "/metrics"), d.admin)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	limit := ""
	if descriptors > 0 {
		limit = fmt.Sprintf("ulimit -n %d; ", descriptors)
	}
	d.cmd = exec.Command("sh", "-c", limit+`exec "$@"`, "sh",
		program, "serve", "--config", file, "--listen", "unix:"+d.socket, "--history", history)
	d.cmd.Stderr = &d.log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.cmd.ProcessState == nil {
			d.stop()
		}
		if t.Failed() {
			t.Logf("tlsratchet's log:\n%s", d.log.text())
		}
	})
	d.until("it serves", func() bool { return d.log.count("msg=serving") > 0 })
	d.peak = watchPeak(t, d.cmd.Process.Pid)
	return d
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// stop ends it by SIGTERM, which it must obey in good order.
func (d *daemon) stop() {
	d.t.Helper()
	if d.peak != nil {
		d.peak.stop()
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Errorf("it ended by itself: %v", err)
	}
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("SIGTERM: %v", err)
	}
}

// until waits for what the daemon comes to in its own time.
func (d *daemon) until(what string, there func() bool) {
	d.t.Helper()
	for end := time.Now().Add(readTimeout); !there(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			d.t.Fatalf("not in a minute: %s\n%s", what, d.log.text())
		}
	}
}

// metrics are the daemon's, by name and labels as they are written.
func (d *daemon) metrics() (map[string]float64, error) {
	answer, err := http.Get(d.page)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	all := make(map[string]float64)
	s := bufio.NewScanner(answer.Body)
	for s.Scan() {
		line := s.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		space := strings.LastIndexByte(line, ' ')
		if all[line[:max(space, 0)]], err = strconv.ParseFloat(line[space+1:], 64); err != nil {
			return nil, err
		}
	}
	return all, s.Err()
}

// metric is one of them, which must be there.
func (d *daemon) metric(name string) float64 {
	d.t.Helper()
	all, err := d.metrics()
	value, ok := all[name]
	if err != nil || !ok {
		d.t.Fatalf("metric %s: %v", name, err)
	}
	return value
}

// holding is what a daemon may not keep of connections that are gone:
// goroutines and descriptors.
type holding struct{ goroutines, descriptors int }

func (d *daemon) holding() holding {
	d.t.Helper()
	http.DefaultClient.CloseIdleConnections() // the metrics', which are connections too
	n := int(d.metric("go_goroutines"))
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	return holding{n, len(files)}
}

// clean waits until nothing is left of the hundreds that came since before, but what is
// kept for the next: see package wire.
func (d *daemon) clean(before holding) {
	d.t.Helper()
	const own = 3 // may have begun since
	want := holding{before.goroutines + own + wire.MaxIdle, before.descriptors + own + wire.MaxUnused}
	d.until(fmt.Sprintf("at most %+v", want), func() bool {
		now := d.holding()
		return now.goroutines <= want.goroutines && now.descriptors <= want.descriptors
	})
}

// peak is the greatest anonymous memory of a process, as it was met.
type peak struct {
	mu   sync.Mutex
	most float64
	quit chan struct{}
	once sync.Once
	done sync.WaitGroup
}

func watchPeak(t *testing.T, pid int) *peak {
	p := &peak{quit: make(chan struct{})}
	p.done.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			if mib, err := anonymous(pid); err == nil {
				p.mu.Lock()
				p.most = max(p.most, mib)
				p.mu.Unlock()
			}
			select {
			case <-p.quit:
				return
			case <-tick.C:
			}
		}
	})
	t.Cleanup(p.stop)
	return p
}

func (p *peak) stop() {
	p.once.Do(func() { close(p.quit) })
	p.done.Wait()
}

func (p *peak) mib() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most
}

// anonymous returns the anonymous memory of a process, in MiB.
func anonymous(pid int) (float64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(f)
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "RssAnon:")
	value, _, ok := strings.Cut(rest, " kB")
	if !ok {
		return 0, errors.New("no RssAnon in its status")
	}
	kib, err := strconv.Atoi(strings.TrimSpace(value))
	return float64(kib) / 1024, err
}
