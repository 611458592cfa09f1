package store

import (
	"net/netip"
	"testing"

	"tlsratchet/tlsstate"
)

func BenchmarkLoadHit(b *testing.B) {
	f := mustOpen(b, newPath(b), Options{})
	mustMerge(b, f, peer(1), seen(6))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _ = f.Load(peer1)
		}
	})
}

var peer1 = peer(1)

func BenchmarkLoadMiss(b *testing.B) {
	path := fill(b, 20_000)
	f := mustOpen(b, path, Options{CacheSize: 16})
	ids := make([]tlsstate.Identity, 20_000)
	for i := range ids {
		ids[i] = peer(i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := f.Load(ids[i*7919%len(ids)]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpdateSteady(b *testing.B) {
	f := mustOpen(b, newPath(b), Options{})
	mustMerge(b, f, peer(1), seen(6))
	grow := func(h tlsstate.History) tlsstate.History { return session(h, today, tlsstate.TLS12) }
	b.ReportAllocs()
	for b.Loop() {
		_, _ = f.Update(peer1, netip.Addr{}, today, grow)
	}
}

// BenchmarkCommit writes groups of new keys, with fsync.
func BenchmarkCommit(b *testing.B) {
	d, _, err := openBolt(newPath(b), 0, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = d.close() }()
	group := make([]entry, groupSize)
	for n := 0; b.Loop(); n++ {
		for i := range group {
			group[i] = entry{peer((n*groupSize + i) * 7919 % 1_000_003), seen6, 0}
		}
		if err := d.put(group); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*groupSize)/b.Elapsed().Seconds(), "keys/s")
}

var seen6 = seen(6)

// BenchmarkOpen verifies a file, for the time that a start takes.
func BenchmarkOpen(b *testing.B) {
	const n = 50_000
	path := fill(b, n)
	for b.Loop() {
		f, err := Open(path, Options{})
		if err != nil || f.Len() != n {
			b.Fatal(err)
		}
		b.StopTimer()
		mustClose(b, f)
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "records/s")
}
