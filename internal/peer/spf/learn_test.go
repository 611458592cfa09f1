package spf

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tlsratchet/tlsstate"
)

func bank() *world {
	return &world{ttl: time.Hour, records: map[string]string{
		"bank.example": "v=spf1 ip4:192.0.2.10", "wide.example": "v=spf1 +all"}}
}

// TestLearn: what is proven is learned, after the caller went on; what isn't is
// not.
func TestLearn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := bank()
		w.slow = time.Second
		p, _ := w.start(t, DefaultOptions())
		var learned []string
		for _, domain := range []string{"bank", "wide", "nowhere"} {
			if !p.Learn(claim(t, four, domain), func() { learned = append(learned, domain) }) {
				t.Errorf("%s: not taken", domain)
			}
		}
		if s := p.Stats(); s.Waiting != 3 || s.Results[Proven] != 0 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		s := p.Stats()
		if len(learned) != 1 || learned[0] != "bank" || s.Waiting != 0 || s.Dropped != 0 {
			t.Errorf("learned %v, %+v", learned, s)
		}
		if s.Results[Proven] != 1 || s.Results[Wide] != 1 || s.Results[NotPassed] != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestLearnOnce: many messages of one sender at once are one proof.
func TestLearnOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := bank()
		w.slow = time.Second
		p, _ := w.start(t, DefaultOptions())
		var learned atomic.Int64
		for range 1000 {
			if !p.Learn(claim(t, four, "bank"), func() { learned.Add(1) }) {
				t.Fatal("dropped")
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if learned.Load() != 1 || w.questions() != 1 {
			t.Errorf("learned %d times, %d questions", learned.Load(), w.questions())
		}
		p.Learn(claim(t, four, "bank"), func() { learned.Add(1) })
		synctest.Wait()
		if learned.Load() != 2 {
			t.Error("not learned again")
		}
	})
}

// TestLearnEachAddress: a domain's own record is asked for each address: that one
// waits is no reason to leave another out, which has this one chance.
func TestLearnEachAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{ttl: time.Hour, records: map[string]string{"bank.example": "v=spf1 ip4:192.0.2.0/24"}}
		w.slow = time.Second
		p, _ := w.start(t, DefaultOptions())
		var learned atomic.Int64
		for i := range 3 {
			c := claim(t, fmt.Sprintf("192.0.2.%d", 10+i), "bank")
			c.Identity = tlsstate.Identity{Kind: tlsstate.Domain, Name: "bank.example"}
			p.Learn(c, func() { learned.Add(1) })
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if learned.Load() != 3 {
			t.Errorf("%d addresses learned, want 3", learned.Load())
		}
	})
}

// TestLearnFull: what doesn't fit is dropped and counted, never waited for; one
// network doesn't fill the queue.
func TestLearnFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := bank()
		w.slow = time.Hour
		o := DefaultOptions()
		o.Workers, o.Queue, o.PerNetwork = 2, 10, 5
		p, _ := w.start(t, o)
		start, taken := time.Now(), 0
		for i := range 100 {
			if p.Learn(claim(t, four, fmt.Sprint("a", i)), func() {}) {
				taken++
			}
		}
		if taken != 5 {
			t.Errorf("%d taken of one network", taken)
		}
		synctest.Wait() // the workers hold two
		for i := range 100 {
			if p.Learn(claim(t, fmt.Sprintf("10.0.%d.1", i), "bank"), func() {}) {
				taken++
			}
		}
		if s := p.Stats(); taken != 12 || s.Dropped != 188 || s.Waiting != 12 {
			t.Errorf("%d taken, %+v", taken, s)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("waited %v", d) // of the bubble's clock
		}
		time.Sleep(time.Minute) // 12 proofs of 2 seconds
		synctest.Wait()
		if s := p.Stats(); s.Waiting != 0 || s.Results[NoAnswer] != 12 {
			t.Errorf("%+v", s)
		}
		if len(p.shares) != 0 {
			t.Errorf("shares %v", p.shares)
		}
	})
}

// TestLearnBug: a panic in what learns stops no worker.
func TestLearnBug(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := DefaultOptions()
		o.Workers = 1
		p, _ := bank().start(t, o)
		var log strings.Builder
		p.log = slog.New(slog.NewTextHandler(&log, nil))
		p.Learn(claim(t, four, "bank"), func() { panic("bug") })
		synctest.Wait()
		done := false
		p.Learn(claim(t, four, "bank"), func() { done = true })
		synctest.Wait()
		if !done {
			t.Error("the worker is gone")
		}
		if n := strings.Count(log.String(), `msg="sender not learned" error="panic: bug"`); n != 1 || strings.Count(log.String(), "msg=") != 1 {
			t.Errorf("logged %d times: %s", n, log.String())
		}
	})
}

// TestClose: nothing is learned afterwards, and nobody waits.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := bank()
		w.slow = time.Hour
		p, _ := w.start(t, DefaultOptions())
		start := time.Now()
		for i := range 100 {
			p.Learn(claim(t, fmt.Sprintf("10.0.%d.1", i), "bank"), func() { t.Error("learned") })
		}
		synctest.Wait()
		p.Close()
		p.Close()
		if d := time.Since(start); d != 0 {
			t.Errorf("took %v", d) // of the bubble's clock
		}
		if p.Learn(claim(t, four, "bank"), func() {}) || p.Stats().Waiting != 0 {
			t.Errorf("%+v", p.Stats())
		}
		if got := p.Prove(t.Context(), claim(t, four, "slow")); got != NoAnswer {
			t.Error(got)
		}
	})
}

// TestLearnManyAtOnce is for the race detector.
func TestLearnManyAtOnce(t *testing.T) {
	p, _ := bank().start(t, DefaultOptions())
	done := make(chan struct{})
	for i := range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for j := range 50 {
				p.Learn(claim(t, fmt.Sprintf("10.%d.%d.1", i, j), "bank"), func() {})
				p.Prove(t.Context(), claim(t, four, "bank"))
				p.Stats()
			}
		}()
	}
	for range 8 {
		<-done
	}
}
