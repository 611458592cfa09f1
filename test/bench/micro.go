package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// part is what one step of the hot path costs by itself.
type part struct {
	name        string
	nanoseconds float64
	allocs      int64
}

// Names of parts.
const (
	partJudge    = "Judge, one identity"
	partIdentify = "Identify, macros to identities"
	partDecide   = "decide: load, judge, combine; four identities"
)

// measureParts measures the steps with the peers in a file's cache.
func measureParts(ctx context.Context, all []client) ([]part, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	now := time.Now()
	file := filepath.Join(dir, "history.db")
	if err := teach(ctx, file, all, now); err != nil {
		return nil, err
	}
	f, err := store.Open(file, store.Options{})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := newRatchet(f)
	if err != nil {
		return nil, err
	}
	sessions := make([]ratchet.Session, len(all))
	for i, c := range all {
		if sessions[i], err = sessionOf(c, now); err != nil {
			return nil, err
		}
	}
	return []part{
		timed(partJudge, judging(tlsstate.DayOf(now))),
		timed(partIdentify, func(i int) { _, _ = peer.Identify(all[i%len(all)].Client) }),
		timed(partDecide, func(i int) { r.Decide(&sessions[i%len(sessions)]) }),
	}, nil
}

func judging(today tlsstate.Day) func(int) {
	rule := tlsstate.DefaultPolicy()
	h := pinnedHistory(today + 1) // seen today
	o := tlsstate.Observation{Day: today, Security: tlsstate.Security{Level: tlsstate.TLS13}}
	return func(int) { _, _ = tlsstate.Judge(h, o, &rule) }
}

func timed(name string, step func(i int)) part {
	r := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			step(i)
		}
	})
	return part{name: name, nanoseconds: float64(r.T.Nanoseconds()) / float64(r.N), allocs: r.AllocsPerOp()}
}
