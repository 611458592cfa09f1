package spf

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tlsratchet/internal/peer/spf/resolver"
)

var quiet = slog.New(slog.DiscardHandler)

// claim is that of a client without a name, for a domain below example; with @
// at its end it is the whole domain.
func claim(t testing.TB, addr, domain string) Claim {
	t.Helper()
	whole, ok := strings.CutSuffix(domain, "@")
	if !ok {
		whole += ".example"
	}
	c, ok := ClaimOf(client(t, addr, "unknown"), "<out@"+whole+">")
	if !ok {
		t.Fatalf("no claim for %s", whole)
	}
	return c
}

// world is a DNS of SPF records by name; all else there isn't.
type world struct {
	mu      sync.Mutex
	records map[string]string
	asked   map[resolver.Question]int
	ttl     time.Duration
	slow    time.Duration
}

func (w *world) exchange(ctx context.Context, q resolver.Question) (resolver.Answer, time.Duration, error) {
	select {
	case <-time.After(w.slow):
	case <-ctx.Done():
		return resolver.Answer{}, 0, resolver.ErrFailed
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked == nil {
		w.asked = make(map[resolver.Question]int)
	}
	w.asked[q]++
	if text, ok := w.records[q.Name]; ok && q.Type == resolver.TypeTXT {
		return resolver.Answer{Texts: []string{text}}, w.ttl, nil
	}
	return resolver.Answer{}, w.ttl, resolver.ErrNotFound
}

func (w *world) questions() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, times := range w.asked {
		n += times
	}
	return n
}

// start returns a prover in the given world.
func (w *world) start(t testing.TB, o Options) (*Prover, *resolver.Resolver) {
	r := resolver.New(resolver.DefaultOptions(), w.exchange)
	p := New(r, o, quiet)
	t.Cleanup(func() { p.Close(); r.Close() })
	return p, r
}

func prove(t *testing.T, p *Prover, c Claim, want Result) {
	t.Helper()
	if got := p.Prove(t.Context(), c); got != want {
		t.Errorf("%s: %v, want %v", c.Identity, got, want)
	}
}

// TestOneWorld: within one proof a question is asked once, whatever its TTL, and
// the second evaluation asks nothing new unless macros say that it must.
func TestOneWorld(t *testing.T) {
	for record, want := range map[string]int{
		"v=spf1 ip4:192.0.2.10 -all":                                            1,
		"v=spf1 ip4:192.0.2.10 a:later.example mx include:x.example ptr -all":   1,
		"v=spf1 a:before.example ip4:192.0.2.10 -all":                           2, // and no AAAA
		"v=spf1 a:b.example a:b.example ip4:192.0.2.10 a:c.example":             2,
		"v=spf1 exists:%{i}.b.example ip4:192.0.2.10 -all":                      3, // the stranger's too
		"v=spf1 include:inner.example -all":                                     2,
		"v=spf1 include:inner.example include:inner.example redirect=x.example": 2,
	} {
		w := &world{records: map[string]string{"bank.example": record, "inner.example": "v=spf1 ip4:192.0.2.0/24"}}
		p, _ := w.start(t, DefaultOptions())
		prove(t, p, claim(t, four, "bank"), Proven)
		if got := w.questions(); got != want {
			t.Errorf("%s: %d questions, want %d: %v", record, got, want, w.asked)
		}
		prove(t, p, claim(t, four, "bank"), Proven)
		if got := w.questions(); got != 2*want {
			t.Errorf("%s: %d questions for two proofs with TTL 0", record, got)
		}
	}
}

// TestChangingWorld: a record that changes while it is read is read once.
func TestChangingWorld(t *testing.T) {
	var n atomic.Int64
	r := resolver.New(resolver.DefaultOptions(), func(context.Context, resolver.Question) (resolver.Answer, time.Duration, error) {
		if n.Add(1)%2 == 1 {
			return resolver.Answer{Texts: []string{"v=spf1 ip4:0.0.0.0/0"}}, 0, nil
		}
		return resolver.Answer{Texts: []string{"v=spf1 -all"}}, 0, nil
	})
	defer r.Close()
	p := New(r, DefaultOptions(), quiet)
	defer p.Close()
	prove(t, p, claim(t, four, "bank"), Wide)
	prove(t, p, claim(t, four, "bank"), NotPassed)
}

// TestSilence: without answers a proof takes its 2 seconds and no more, also of
// a caller who is less patient.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{slow: time.Hour}
		p, _ := w.start(t, DefaultOptions())
		start := time.Now()
		prove(t, p, claim(t, four, "bank"), NoAnswer)
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("took %v", d) // of the bubble's clock
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start = time.Now()
		if got := p.Prove(ctx, claim(t, four, "other")); got != NoAnswer {
			t.Error(got)
		}
		if d := time.Since(start); d != 100*time.Millisecond {
			t.Errorf("took %v", d) // of the bubble's clock
		}
	})
}

// TestSlow: answers that come, each late, count together.
func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{slow: 900 * time.Millisecond, records: map[string]string{
			"one.example": "v=spf1 ip4:192.0.2.10", "two.example": "v=spf1 include:one.example", "three.example": "v=spf1 include:two.example"}}
		p, _ := w.start(t, DefaultOptions())
		prove(t, p, claim(t, four, "three"), NoAnswer)
		time.Sleep(time.Second)
		w.mu.Lock()
		w.ttl = time.Hour
		w.mu.Unlock()
		prove(t, p, claim(t, four, "two"), Proven)
		prove(t, p, claim(t, four, "three"), Proven)
	})
}

// TestNoAmplifier: 100,000 made-up sender domains in 1000 seconds ask no more
// than the limits say, and take no more memory than the bounds.
func TestNoAmplifier(t *testing.T) {
	const claims, seconds = 100_000, 1000
	o := DefaultOptions()
	for _, tc := range []struct {
		name     string
		networks int
		most     float64
	}{
		{"one network", 1, float64(o.NetworkBurst) + o.NetworkRate*seconds},
		{"20,000 networks", 20_000, float64(o.UnknownBurst) + o.UnknownRate*seconds},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{ttl: time.Hour, records: map[string]string{}}
				p, r := w.start(t, o)
				before := heap()
				for i := range claims {
					n := i % tc.networks
					c := claim(t, fmt.Sprintf("10.%d.%d.7", n/256, n%256), fmt.Sprintf("made-up-%d", i))
					if i%2 == 0 {
						p.Prove(t.Context(), c)
					} else {
						p.Learn(c, func() { t.Error("learned") })
					}
					time.Sleep(seconds * time.Second / claims)
				}
				synctest.Wait()
				asked, s, rs := w.questions(), p.Stats(), r.Stats()
				t.Logf("%d claims in %d s: %d questions (at most %.0f); %v; resolver %+v; heap %+d KB",
					claims, seconds, asked, tc.most, s, rs, (heap()-before)/1024)
				if float64(asked) > tc.most || float64(asked) < 0.9*tc.most {
					t.Errorf("%d questions, want about %.0f and no more", asked, tc.most)
				}
				ro := resolver.DefaultOptions()
				if s.Networks > o.Networks || rs.Entries > ro.Entries || rs.Bytes > ro.Bytes || s.Waiting > 0 || rs.Flights > 0 {
					t.Errorf("beyond bounds: %+v, %+v", s, rs)
				}
			})
		})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestOneProof: whatever the record, one proof asks 30 questions at most.
func TestOneProof(t *testing.T) {
	w := &world{records: map[string]string{"bank.example": "v=spf1" + strings.Repeat(" exists:%{i}.x.example", 9), "x.example": "v=spf1"}}
	for i := range 10 {
		w.records["bank.example"] += fmt.Sprintf(" include:%d.example", i)
		w.records[fmt.Sprintf("%d.example", i)] = "v=spf1 mx a ptr"
	}
	o := DefaultOptions()
	o.NetworkBurst = 1000
	p, _ := w.start(t, o)
	prove(t, p, claim(t, four, "bank"), NotPassed)
	prove(t, p, claim(t, six, "bank"), NotPassed)
	if n := w.questions(); n > 2*maxQuestions {
		t.Errorf("%d questions", n)
	}
}

// TestLimits: a flood of strangers keeps nobody's known sender from proof, nor
// does one network another.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{records: map[string]string{"bank.example": "v=spf1 ip4:192.0.2.10 ip4:198.51.100.1"}}
		p, _ := w.start(t, DefaultOptions())
		for i := range 300 {
			p.Prove(t.Context(), claim(t, fmt.Sprintf("10.0.%d.1", i%250), fmt.Sprint("flood", i)))
		}
		c := claim(t, four, "bank")
		prove(t, p, c, Limited)
		c.Known = true
		prove(t, p, c, Proven)

		time.Sleep(10 * time.Second)
		for i := range 40 {
			p.Prove(t.Context(), claim(t, four, fmt.Sprint("more", i)))
		}
		prove(t, p, claim(t, four, "bank"), Limited)
		prove(t, p, claim(t, "198.51.100.1", "bank"), Proven)
		prove(t, p, c, Proven)
		if s := p.Stats(); s.Results[Limited] < 2 || s.Results[Proven] != 3 {
			t.Errorf("%+v", s)
		}
	})
}

// TestBug: a panic is one proof that failed.
func TestBug(t *testing.T) {
	var log strings.Builder
	p := New(nil, DefaultOptions(), slog.New(slog.NewTextHandler(&log, nil)))
	defer p.Close()
	prove(t, p, claim(t, four, "bank"), Failed)
	prove(t, p, Claim{}, NotPassed)
	if s := p.Stats(); s.Results[Failed] != 1 || s.Results[NotPassed] != 1 {
		t.Errorf("%+v", s)
	}
	if strings.Count(log.String(), `msg="sender not proven" error="panic`) != 1 {
		t.Error(log.String())
	}
}

func TestResultString(t *testing.T) {
	for r := range results {
		if r.String() == "" || r.String() == "unknown" {
			t.Errorf("%d has no name", r)
		}
	}
	if s := results.String(); s != "unknown" {
		t.Error(s)
	}
}
