package shared_test

import (
	"bytes"
	"cmp"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tlsratchet/test/chaos/servers"
	"tlsratchet/test/storetest"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
	"tlsratchet/tlsstate/store/shared"
)

const today = storetest.Today

// steady are servers that no test harms, one of each kind.
var steady = map[servers.Kind]*servers.Server{}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "shared")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	for _, kind := range servers.Kinds {
		s, err := servers.Start(kind, dir)
		if err != nil {
			fmt.Fprintf(os.Stderr, "these tests need a real %s server: %v\n", kind, err)
			return 1
		}
		defer s.Stop()
		steady[kind] = s
	}
	code := m.Run()
	for _, s := range steady {
		s.Stop()
	}
	// The client delays looking at a cluster anew, for a second at most.
	if err := goleak.Find(goleak.IgnoreAnyFunction("github.com/valkey-io/valkey-go.(*call).DelayDo.func1")); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// onBoth runs a test against each kind of server.
func onBoth(t *testing.T, test func(*testing.T, *servers.Server)) {
	for _, kind := range servers.Kinds {
		t.Run(string(kind), func(t *testing.T) { test(t, steady[kind]) })
	}
}

// own is a server that the test may harm.
func own(t testing.TB, kind servers.Kind, settings ...string) *servers.Server {
	t.Helper()
	s, err := servers.Start(kind, t.TempDir(), settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func proxy(t testing.TB, s *servers.Server) *servers.Proxy {
	t.Helper()
	p, err := servers.NewProxy(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

var prefixes atomic.Int64

// prefix is one that no other test has.
func prefix() string { return fmt.Sprintf("test%d:", prefixes.Add(1)) }

// journal is a log that can be looked at.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// lines counts the lines with a text in them.
func (j *journal) lines(text string) (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.text.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// rule is the default, on the first days of which pins form.
func rule(tlsstate.Kind) *tlsstate.Policy {
	p := tlsstate.DefaultPolicy()
	return &p
}

// host is an MX: a store, its memory and its log.
type host struct {
	*shared.Store
	t      testing.TB
	prefix string
	log    *journal
}

// newHost returns a host on a server's URL. Options that are set go over the
// test's own.
func newHost(t testing.TB, url string, o shared.Options) *host {
	t.Helper()
	return newHostOn(t, store.NewMemory(4000), url, o)
}

func newHostOn(t testing.TB, local store.Store, url string, o shared.Options) *host {
	t.Helper()
	h := &host{t: t, prefix: o.Prefix, log: &journal{}}
	o.URL = url
	if o.Policy == nil {
		o.Policy = rule
	}
	if o.Now == nil {
		o.Now = today.Time
	}
	o.Gather = cmp.Or(o.Gather, 5*time.Millisecond)
	if o.Heartbeat == 0 {
		o.Heartbeat = 200 * time.Millisecond
	}
	o.Logger = slog.New(slog.NewTextHandler(h.log, nil))
	var err error
	if h.Store, err = shared.New(local, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", h.log.text.String())
		}
	})
	return h
}

// up waits until the host has found its server and sent what it knew.
func (h *host) up() *host {
	h.t.Helper()
	h.eventually("the server", func() bool { s := h.Sharing(); return s.Answering && s.Taking })
	h.settled()
	return h
}

// settled waits until there is nothing to send.
func (h *host) settled() {
	h.t.Helper()
	h.eventually("all sent", func() bool {
		s := h.Sharing()
		return s.Changed == 0 && !s.Sweeping && h.Flush(h.t.Context()) == nil
	})
}

// patience is for a machine that is busy: a server that is late is no failure.
const patience = 2 * time.Minute

func (h *host) eventually(what string, is func() bool) {
	h.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("%s: not in %s: %+v\n%s", what, patience, h.Sharing(), h.log.text.String())
		}
	}
}

func peerOf(i int) tlsstate.Identity {
	return tlsstate.Identity{Kind: tlsstate.Address, Name: fmt.Sprintf("192.0.%d.%d", i>>8, i&255)}
}

// sees has a host learn a session.
func (h *host) sees(id tlsstate.Identity, day tlsstate.Day, l tlsstate.Level) {
	h.t.Helper()
	if _, err := h.Update(id, netip.Addr{}, today, func(was tlsstate.History) tlsstate.History { return storetest.Sees(was, day, l) }); err != nil {
		h.t.Fatal(err)
	}
}

// seesDays has a host learn a TLS session on each of some days, today the last.
func (h *host) seesDays(id tlsstate.Identity, days int) {
	h.t.Helper()
	for d := range days {
		h.sees(id, today-tlsstate.Day(days-1-d), tlsstate.TLS12)
	}
}

func (h *host) knows(id tlsstate.Identity) tlsstate.History {
	h.t.Helper()
	was, err := h.Load(id)
	if err != nil {
		h.t.Fatal(err)
	}
	return was
}

// holds reports whether the host holds the peer to TLS 1.2.
func (h *host) holds(id tlsstate.Identity) bool {
	h.t.Helper()
	return h.knows(id).PinState(tlsstate.TLS12, rule(id.Kind), today, true) == tlsstate.PinHolds
}

func (h *host) do(id tlsstate.Identity, act func(tlsstate.History, tlsstate.Day) tlsstate.History) {
	h.t.Helper()
	if _, err := (shared.Whole{Store: h.Store}).Update(id, netip.Addr{}, today, func(was tlsstate.History) tlsstate.History { return act(was, today) }); err != nil {
		h.t.Fatal(err)
	}
}
