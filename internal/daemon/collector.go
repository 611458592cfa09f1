package daemon

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"tlsratchet/internal/config"
)

// TuneCollector has the garbage collector run less often than it would on a
// heap as small as ours: a milter makes much short-lived garbage. The limit is
// for floods: a base, and what the cache may hold. GOGC and
// GOMEMLIMIT override it.
func TuneCollector(cfg *config.Config) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if os.Getenv(name) != "" {
			return
		}
	}
	const base, perIdentity = 64 << 20, 700
	debug.SetGCPercent(400)
	least := base + perIdentity*int64(cfg.Limits.Cache)
	l := &memoryLimit{least: least, now: least}
	debug.SetMemoryLimit(least)
	l.follow()
}

// memoryLimit is a limit that moves out of the way of what lives: thousands of
// connections may take more than the least, and a limit below that would have
// the collector run without an end.
type memoryLimit struct{ least, now int64 }

// room is left for garbage above what lives, and step is the least change that
// is worth the while: setting a limit stops all for a moment.
const room, step = 8 << 20, 2 << 20

// follow looks at what lives after each collection: what nobody holds on to is
// a sign of one.
func (l *memoryLimit) follow() {
	type sign struct{ _ *memoryLimit }
	runtime.AddCleanup(&sign{}, func(l *memoryLimit) {
		if next := l.after(lives()); next != l.now {
			l.now = next
			debug.SetMemoryLimit(next)
		}
		l.follow()
	}, l)
}

// after returns the limit that suits what lives.
func (l *memoryLimit) after(lives int64) int64 {
	next := max(l.least, lives+room)
	if next-l.now < step && l.now-next < step && l.now >= l.least {
		return l.now
	}
	return next
}

// lives returns what the last collection left, in bytes: the heap, and all that
// is no heap.
func lives() int64 {
	all := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(all)
	sum := all[0].Value.Uint64() + all[1].Value.Uint64()
	for _, s := range all[2:] {
		sum -= s.Value.Uint64()
	}
	return int64(sum)
}
