package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/test/chaos/servers"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
	"tlsratchet/tlsstate/store/shared"
)

const (
	hosts = 3
	// known is how many peers all hosts pinned before the fault.
	known = 600
	// rate is how many sessions a second each host sees.
	rate = 300
	// warmUp is how long sessions are timed without a server.
	warmUp = 3 * time.Second
	// patience is how long hosts may take to agree after a fault.
	patience = time.Minute
)

// world is three hosts, and what all of them saw.
type world struct {
	hosts  []*host
	server *servers.Server
	proxy  *servers.Proxy
	close  []func()

	mu   sync.Mutex
	seen map[tlsstate.Identity]tlsstate.History // the reference
}

// host is an MX.
type host struct {
	memory *shared.Store
	judge  *ratchet.Ratchet
	rng    *rand.Rand
}

// suffer lets a fault happen to a world of its own.
func suffer(kind servers.Kind, f servers.Fault, lasts time.Duration) (*result, error) {
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	r := &result{fault: f.Name, lasted: lasts}
	if err := r.withoutServer(dir); err != nil {
		return nil, err
	}
	w, err := newWorld(kind, dir, f.Settings)
	if err != nil {
		return nil, err
	}
	defer w.end()
	r.version = w.version()
	w.learn()
	if err := w.agree(); err != nil {
		return nil, fmt.Errorf("before the fault: %w", err)
	}
	if err := f.Begin(w.server, w.proxy); err != nil {
		return nil, err
	}
	w.work(lasts, r)
	began := time.Now()
	if err := f.End(w.server, w.proxy); err != nil {
		return nil, err
	}
	if err := w.agree(); err != nil && !errors.Is(err, errDiffer) {
		return nil, err
	}
	r.settled = time.Since(began)
	r.lost = w.lost()
	return r, nil
}

// withoutServer times the same sessions on a host that shares nothing.
func (r *result) withoutServer(dir string) error {
	file, err := store.Open(filepath.Join(dir, "alone.db"), store.Options{})
	if err != nil {
		return err
	}
	defer file.Close()
	w := &world{seen: map[tlsstate.Identity]tlsstate.History{}}
	w.hosts = []*host{{judge: newJudge(file), rng: rand.New(rand.NewPCG(1, 1))}}
	w.learn()
	var alone result
	w.work(warmUp, &alone)
	r.alone = alone.during
	return nil
}

func newJudge(memory ratchet.Histories) *ratchet.Ratchet {
	rules, _ := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil) // the default is right
	return ratchet.New(ratchet.Options{Histories: memory, Rules: rules, Log: slog.New(slog.DiscardHandler)})
}

func newWorld(kind servers.Kind, dir string, settings []string) (*world, error) {
	w := &world{seen: map[tlsstate.Identity]tlsstate.History{}}
	var err error
	if w.server, err = servers.Start(kind, dir, settings...); err != nil {
		return nil, err
	}
	w.close = append(w.close, w.server.Stop)
	if w.proxy, err = servers.NewProxy(w.server.Addr); err != nil {
		w.end()
		return nil, err
	}
	w.close = append(w.close, w.proxy.Close)
	rule := tlsstate.DefaultPolicy()
	for i := range hosts {
		file, err := store.Open(filepath.Join(dir, fmt.Sprintf("mx%d.db", i+1)), store.Options{})
		if err != nil {
			w.end()
			return nil, err
		}
		s, err := shared.New(file, shared.Options{
			URL: w.proxy.URL(), Policy: func(tlsstate.Kind) *tlsstate.Policy { return &rule },
		})
		if err != nil {
			w.end()
			return nil, errors.Join(err, file.Close())
		}
		w.close = append(w.close, func() { s.Close() })
		w.hosts = append(w.hosts, &host{memory: s, judge: newJudge(s), rng: rand.New(rand.NewPCG(1, uint64(i)))})
	}
	return w, nil
}

// end closes all, the last opened first.
func (w *world) end() {
	for i := len(w.close) - 1; i >= 0; i-- {
		w.close[i]()
	}
}

func (w *world) version() string {
	info, err := w.server.Do("INFO", "server")
	if err != nil {
		return string(w.server.Kind)
	}
	for _, name := range []string{"Valkey", "Redis"} { // Valkey prints both
		if _, rest, ok := strings.Cut(info, strings.ToLower(name)+"_version:"); ok {
			number, _, _ := strings.Cut(rest, "\r")
			return name + " " + number
		}
	}
	return string(w.server.Kind)
}

// learn has the hosts see all peers over TLS on the five days before today, each
// day at another host.
func (w *world) learn() {
	for i := range known {
		for d := range 5 {
			h := w.hosts[(i+d)%len(w.hosts)]
			w.deliver(h, h.session(i, time.Now().AddDate(0, 0, d-5), tlsstate.TLS12))
		}
	}
}

// session is one of peer i.
func (h *host) session(i int, at time.Time, l tlsstate.Level) *ratchet.Session {
	p, err := peer.Identify(peer.Client{
		Addr: fmt.Sprintf("198.18.%d.%d", i>>8&255, i&255), Name: fmt.Sprintf("mx.p%d.example", i), Resolve: "OK",
		DaemonAddr: "192.0.2.25", DaemonPort: "25",
	})
	if err != nil {
		panic(err) // a peer of ours
	}
	s := &ratchet.Session{At: at, Peer: p}
	s.Level = l
	return s
}

// deliver judges and learns a session, at the host and in the reference: but for
// one that could not be judged, which is reported as such.
func (w *world) deliver(h *host, s *ratchet.Session) ratchet.Decision {
	d := h.judge.Decide(s)
	h.judge.Learn(s, &d)
	if d.Outcome == tlsstate.Unknown {
		return d
	}
	rule := tlsstate.DefaultPolicy()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range []tlsstate.Identity{s.Peer.Address, s.Peer.Domain} {
		_, w.seen[id] = tlsstate.Judge(w.seen[id], tlsstate.Observation{Day: tlsstate.DayOf(s.At), Security: s.Security}, &rule)
	}
	return d
}

// work has all hosts see sessions for a while: of ten, eight of known peers over
// TLS, one of a new peer, and one of a known peer in clear, which is refused
// and so not learned. Those in clear are timed.
func (w *world) work(lasts time.Duration, r *result) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for n, h := range w.hosts {
		all.Go(func() {
			own := w.workAt(h, n, time.Now().Add(lasts))
			mu.Lock()
			defer mu.Unlock()
			r.judged += own.judged
			r.unjudged += own.unjudged
			if own.why != nil {
				r.why = own.why
			}
			r.stripped += own.stripped
			r.caught += own.caught
			r.during = append(r.during, own.during...)
		})
	}
	all.Wait()
}

func (w *world) workAt(h *host, n int, end time.Time) (r result) {
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	for i := 0; time.Now().Before(end); i++ {
		<-tick.C
		var d ratchet.Decision
		switch i % 10 {
		case 0:
			s := h.session(h.rng.IntN(known), time.Now(), tlsstate.Plaintext)
			began := time.Now()
			d = h.judge.Decide(s)
			r.during = append(r.during, time.Since(began))
			r.stripped++
			if d.Kind == tlsstate.Stripped {
				r.caught++
			}
		case 1:
			d = w.deliver(h, h.session(known+n*20000+i, time.Now(), tlsstate.TLS13))
		default:
			d = w.deliver(h, h.session(h.rng.IntN(known), time.Now(), tlsstate.TLS12))
		}
		if d.Outcome == tlsstate.Unknown {
			r.unjudged, r.why = r.unjudged+1, d.Reason
		} else {
			r.judged++
		}
	}
	return r
}

var errDiffer = errors.New("the hosts do not come to know the same")

// agree waits until all hosts know all that any of them saw.
func (w *world) agree() error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		sent := true
		for _, h := range w.hosts {
			s := h.memory.Sharing()
			sent = sent && s.Answering && s.Taking && s.Changed == 0 && !s.Sweeping
		}
		if !sent {
			continue
		}
		for _, h := range w.hosts {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			sent = sent && h.memory.Pull(ctx) == nil
			cancel()
		}
		if sent && w.lost() == 0 {
			return nil
		}
	}
	return errDiffer
}

// lost counts the histories of any host that lack something of the reference.
// The day on which a pin formed may differ: the hosts may know it sooner.
func (w *world) lost() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, want := range w.seen {
		for i := range want.Pins {
			want.Pins[i].Formed = 0
		}
		for _, h := range w.hosts {
			got, err := h.memory.Load(id)
			if err != nil || tlsstate.Merge(got, want) != got {
				n++
			}
		}
	}
	return n
}
