package spf

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestTried: what was not proven isn't worth a try for a while, of that address
// alone; what was, is.
func TestTried(t *testing.T) {
	for domain, want := range map[string]time.Duration{
		"bank": 0, "wide": triedFor, "nowhere": triedFor, "slow": failedFor,
	} {
		t.Run(domain, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := bank()
				if domain == "slow" {
					w.slow = time.Hour
				}
				p, _ := w.start(t, DefaultOptions())
				c := claim(t, four, domain)
				if p.Tried(c) {
					t.Error("tried before it was")
				}
				p.Prove(t.Context(), c)
				if got := p.Tried(c); got != (want > 0) {
					t.Errorf("tried: %v", got)
				}
				if p.Tried(claim(t, "192.0.2.11", domain)) || p.Tried(claim(t, four, "other")) {
					t.Error("tried for others")
				}
				time.Sleep(want - time.Nanosecond)
				if got := p.Tried(c); got != (want > 0) {
					t.Errorf("tried until the end: %v", got)
				}
				time.Sleep(time.Nanosecond)
				if p.Tried(c) {
					t.Error("tried for ever")
				}
			})
		})
	}
}

// TestTriedThenProven: a record that was mended counts at once where somebody
// asks.
func TestTriedThenProven(t *testing.T) {
	w := bank()
	w.ttl = 0
	p, _ := w.start(t, DefaultOptions())
	c := claim(t, four, "late")
	prove(t, p, c, NotPassed)
	w.records["late.example"] = "v=spf1 ip4:192.0.2.10"
	prove(t, p, c, Proven)
	if p.Tried(c) {
		t.Error("still")
	}
}

func TestTriedIsBounded(t *testing.T) {
	p, _ := bank().start(t, DefaultOptions())
	for i := range maxTried + 1000 {
		c := claim(t, four, fmt.Sprint("made-up-", i))
		p.note(&c, NotPassed)
	}
	if n := p.tried.Len(); n != maxTried {
		t.Errorf("%d", n)
	}
}
