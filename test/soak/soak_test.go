package soak

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

var long = flag.Bool("soak", false, "run the long forms, and hold them to their figures")

// scale returns the size of a trial: its short or its long form.
func scale(short, soak int) int {
	if *long {
		return soak
	}
	return short
}

// A child runs a role on a file: child(path, number).
var roles = map[string]func(path string, n int) error{
	"load": load,
}

func TestMain(m *testing.M) {
	if role := roles[os.Getenv("SOAK_ROLE")]; role != nil {
		n, _ := strconv.Atoi(os.Getenv("SOAK_NUMBER"))
		if err := role(os.Getenv("SOAK_PATH"), n); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "soak")
	if err == nil {
		defer os.RemoveAll(dir)
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		return 1
	}
	return m.Run()
}

// child is this test binary in a role. Its output is what it reports.
func child(t *testing.T, role, path string, n int) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "SOAK_ROLE="+role, "SOAK_PATH="+path, "SOAK_NUMBER="+strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	return cmd
}

const today tlsstate.Day = 20_000

// readTimeout is for trials that are not about timeouts.
const readTimeout = time.Minute

func session(h tlsstate.History, day tlsstate.Day, l tlsstate.Level) tlsstate.History {
	rule := tlsstate.DefaultPolicy()
	_, after := tlsstate.Judge(h, tlsstate.Observation{Day: day, Security: tlsstate.Security{Level: l}}, &rule)
	return after
}

// seen is the history of a peer that used TLS 1.2 on n days up to last.
func seen(last tlsstate.Day, n int) (h tlsstate.History) {
	for i := n - 1; i >= 0; i-- {
		h = session(h, last-tlsstate.Day(i), tlsstate.TLS12)
	}
	return h
}

var pinned = seen(today, 9)

func setting(h tlsstate.History) func(tlsstate.History) tlsstate.History {
	return func(cur tlsstate.History) tlsstate.History { return tlsstate.Merge(cur, h) }
}

// peer is one of 16 million addresses, neighbours in number strangers in
// network.
func peer(i int) tlsstate.Identity {
	return tlsstate.Identity{Kind: tlsstate.Address, Name: fmt.Sprintf("%d.%d.%d.1", 11+i>>16, i&255, i>>8&255)}
}

func domain(name string, i int) tlsstate.Identity {
	return tlsstate.Identity{Kind: tlsstate.Domain, Name: fmt.Sprintf("%s%d.example", name, i)}
}

// merge puts n pinned peers into a store.
func merge(f *store.File, n int) error { return mergeAll(f, n, pinned) }

func mergeAll(f *store.File, n int, h tlsstate.History) error {
	for i := range n {
		if _, err := f.Update(peer(i), netip.Addr{}, h.Last, setting(h)); err != nil {
			return err
		}
		if err := paced(f, i); err != nil {
			return err
		}
	}
	return f.Flush(context.Background())
}

// paced lets the disk keep up.
func paced(f *store.File, i int) error {
	if i%20_000 != 19_999 {
		return nil
	}
	return f.Flush(context.Background())
}

// filled makes a file of n pinned peers, with a snapshot.
func filled(t *testing.T, n int) string { return filledWith(t, n, pinned) }

// fresh is the history of a pinned peer to a daemon, whose days are those of
// the clock.
func fresh() tlsstate.History { return seen(tlsstate.DayOf(time.Now()), 9) }

// remembered makes a file of n peers that are pinned to a daemon.
func remembered(t *testing.T, n int) string { return filledWith(t, n, fresh()) }

func filledWith(t *testing.T, n int, h tlsstate.History) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "history.db")
	f, err := store.Open(path, store.Options{ReadTimeout: readTimeout})
	if err != nil {
		t.Fatal(err)
	}
	if err := mergeAll(f, n, h); err != nil {
		t.Fatal(err)
	}
	if err := f.Snapshot(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
