package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"tlsratchet/test/bench/measure"
)

// The pair of alert destinations.
const (
	nameNobody  = "no alert destination"
	nameFailing = "alert destinations that fail"
)

// flatWithin is what the memory of a daemon may move by for no fault of anybody:
// Go's heap breathes.
const flatWithin = 8 << 20

const destinationWords = `Steady peers over TLS, %d messages a session; in one of %d sessions a pinned peer
comes in clear, each time another one, is marked, and opens an incident. One
tlsratchet tells nobody; the other tells four webhooks, of which one hangs, one
resets the connection, one answers 500 and one sends 1 GB. Its limit lets five
alerts pass at once, each tried for five seconds; the others are held back for
a digest. %d rounds.
`

// measureDestinations measures whether alert destinations that fail cost mail
// anything.
func (r *report) measureDestinations(ctx context.Context, _ io.Writer) error {
	hooks, err := newHooks()
	if err != nil {
		return err
	}
	defer hooks.close()
	peers := clients(peerCount + r.pairTurns()*r.clears())
	setups := []setup{{name: nameNobody, talks: true}, {name: nameFailing, config: hooks.config(), talks: true}} // a line for each downgrade
	return inFolder(os.TempDir(), func(dir string) error {
		return r.duel(ctx, dir, peers, setups, func(d *duel) (*pair, error) {
			for _, m := range mails(peers[peerCount:]) {
				d.rare = append(d.rare, inClear(m))
			}
			defer hooks.heal()
			return d.destinations(ctx, hooks)
		})
	})
}

// destinations measures the pair.
func (d *duel) destinations(ctx context.Context, hooks *hooks) (p *pair, err error) {
	p = &pair{title: "Alert destinations that fail", base: nameNobody}
	p.words = fmt.Sprintf(destinationWords, pairLength, clearEvery, d.o.pairRounds())
	var m memories
	d.before = m.halfWay(d)
	if p.standings, err = d.run(ctx); err == nil {
		m.after, err = memoriesNow(d.contest)
	}
	if err == nil {
		err = hooks.called(ctx)
	}
	if err != nil {
		return nil, err
	}
	p.facts = hooks.String() + "\n" + m.table(d.contest)
	p.aims = append([]aim{p.unchanged(nameFailing)}, m.aims()...)
	return p, nil
}

// memories are what the contestants held half way and at the end, in bytes.
type memories struct{ before, after []int64 }

// halfWay returns what takes the first of them, before a turn.
func (m *memories) halfWay(d *duel) func(turn int) error {
	return func(turn int) (err error) {
		if turn == d.o.pairTurns()/2 && m.before == nil {
			m.before, err = memoriesNow(d.contest)
		}
		return err
	}
}

func memoriesNow(c *contest) (all []int64, err error) {
	for _, one := range c.all {
		n, err := one.milter.memory()
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

func (m *memories) table(c *contest) string {
	t := measure.Table{Head: []string{"memory that is no file's (RssAnon)", "half way", "at the end"}}
	for i, one := range c.all {
		t.Add(one.name, megabytes(m.before[i]), megabytes(m.after[i]))
	}
	var b bytes.Buffer
	_ = t.Write(&b)
	return strings.TrimSuffix(b.String(), "\n")
}

// aims are that the memory of the second is flat, and no more than the first's.
func (m *memories) aims() []aim {
	within := func(what string, more int64) aim {
		return aim{what, "at most " + megabytes(flatWithin), megabytes(more), more <= flatWithin}
	}
	return []aim{
		within("memory with failing destinations, since half way", m.after[1]-m.before[1]),
		within("memory with failing destinations, more than without", m.after[1]-m.after[0]),
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }

// hooks are web servers that take alerts, each badly in its own way.
type hooks struct {
	listener net.Listener
	server   *http.Server
	kinds    []*hook
	healed   chan struct{} // closed once they take alerts well
}

// hook is one of them.
type hook struct {
	path, what string
	serve      http.HandlerFunc
	calls      atomic.Int64
}

// newHooks starts them. Close them.
func newHooks() (*hooks, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("a port for webhooks: %w", err)
	}
	h := &hooks{listener: l, healed: make(chan struct{})}
	h.kinds = []*hook{
		{path: "hangs", what: "the one that hangs", serve: h.hang},
		{path: "resets", what: "the one that resets", serve: reset},
		{path: "fails", what: "that with 500", serve: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }},
		{path: "floods", what: "that with 1 GB", serve: flood},
	}
	mux := http.NewServeMux()
	for _, k := range h.kinds {
		mux.HandleFunc("/"+k.path, func(w http.ResponseWriter, r *http.Request) {
			k.calls.Add(1)
			_, _ = io.Copy(io.Discard, r.Body) // only then is the client's going noticed
			select {
			case <-h.healed:
			default:
				k.serve(w, r)
			}
		})
	}
	h.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = h.server.Serve(l) }() // until close
	return h, nil
}

// heal has them take alerts well from now on, so that who delivers what is left
// can end. Call it once.
func (h *hooks) heal() { close(h.healed) }

func (h *hooks) close() { _ = h.server.Close() }

// config has a tlsratchet tell all of them.
func (h *hooks) config() string {
	var lines []string
	for _, k := range h.kinds {
		lines = append(lines, "[[destination]]", `kind = "webhook"`, `least = "info"`,
			fmt.Sprintf("url = \"http://%s/%s\"", h.listener.Addr(), k.path))
	}
	return strings.Join(lines, "\n")
}

// called waits until each was called, for nothing was measured otherwise.
func (h *hooks) called(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, k := range h.kinds {
		for k.calls.Load() == 0 {
			select {
			case <-ctx.Done():
				return fmt.Errorf("no alert came to %s", k.what)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	return nil
}

// String says how often each was called.
func (h *hooks) String() string {
	var all []string
	for _, k := range h.kinds {
		all = append(all, fmt.Sprintf("%s %d", k.what, k.calls.Load()))
	}
	return "Calls, tries counted: " + strings.Join(all, ", ") + ".\n"
}

func (h *hooks) hang(_ http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-h.healed:
	}
}

func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // a client that went meanwhile
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // RST instead of FIN
	}
	_ = conn.Close()
}

func flood(w http.ResponseWriter, _ *http.Request) {
	chunk := make([]byte, 1<<20)
	for range 1 << 10 {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}
