package main

import (
	"os"
	"runtime/debug"

	"tlsratchet/config"
)

// tuneCollector has the garbage collector run less often than it would on a
// heap as small as ours: a milter makes much short-lived garbage. The limit is
// for floods: a base, and what the cache may hold. Whoever sets GOGC or
// GOMEMLIMIT knows better.
func tuneCollector(cfg *config.Config) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if os.Getenv(name) != "" {
			return
		}
	}
	const base, perIdentity = 96 << 20, 700
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(base + perIdentity*int64(cfg.Limits.Cache))
}
