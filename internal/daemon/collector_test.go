package daemon

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"tlsratchet/internal/config"
)

// TestMemoryLimit: the least, or what lives and some room, and no change that
// isn't worth the while.
func TestMemoryLimit(t *testing.T) {
	const mib = 1 << 20
	for _, tc := range []struct{ now, lives, want int64 }{
		{97, 10, 97},
		{97, 89, 97},
		{97, 90, 97}, // not worth it
		{97, 92, 100},
		{97, 300, 308},
		{308, 307, 315},
		{308, 301, 308},
		{308, 10, 97},
		{0, 10, 97}, // none was set
	} {
		l := memoryLimit{least: 97 * mib, now: tc.now * mib}
		if got := l.after(tc.lives*mib) / mib; got != tc.want {
			t.Errorf("%d MiB with %d alive: %d, want %d", tc.now, tc.lives, got, tc.want)
		}
	}
}

// TestCollector: what lives raises the limit, and when it is gone the limit
// falls again. What the operator set stays.
func TestCollector(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	defer func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) }()
	cfg := &config.Config{Limits: config.Limits{Cache: 10_000}}
	t.Setenv("GOGC", "50")
	if TuneCollector(cfg); debug.SetMemoryLimit(-1) != limit {
		t.Error("GOGC is set, and so is a limit")
	}
	t.Setenv("GOGC", "")
	TuneCollector(cfg)
	least := debug.SetMemoryLimit(-1)
	held := make([]byte, 4*least)
	settles(t, func() bool { return debug.SetMemoryLimit(-1) > 4*least })
	runtime.KeepAlive(held)
	settles(t, func() bool { return debug.SetMemoryLimit(-1) < 2*least })
}

// settles has the collector run until all is well.
func settles(t *testing.T, well func() bool) {
	t.Helper()
	for range 1000 {
		if runtime.GC(); well() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("the limit is %d", debug.SetMemoryLimit(-1))
}
