package shared_test

import (
	"log/slog"
	"testing"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/test/chaos/servers"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
	"tlsratchet/tlsstate/store/shared"
)

// BenchmarkSteady is a decision about a peer that meets its pins, on a host
// alone and on one that shares its memory.
func BenchmarkSteady(b *testing.B) {
	b.Run("alone", func(b *testing.B) { steadily(b, store.NewMemory(1000)) })
	b.Run("shared", func(b *testing.B) {
		s := newHost(b, steady[servers.Valkey].URL(), shared.Options{Prefix: prefix()}).up()
		before := s.Sharing().Commands
		steadily(b, s.Store)
		s.settled()
		b.ReportMetric(float64(s.Sharing().Commands-before)/float64(b.N)*1000, "commands/1000")
	})
}

func steadily(b *testing.B, memory ratchet.Histories) {
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
	if err != nil {
		b.Fatal(err)
	}
	judge := ratchet.New(ratchet.Options{Histories: memory, Rules: rules, Log: slog.New(slog.DiscardHandler)})
	p, err := peer.Identify(peer.Client{Addr: "192.0.2.10", Name: "mx1.bank.example", Resolve: "OK", DaemonAddr: "198.51.100.1", DaemonPort: "25"})
	if err != nil {
		b.Fatal(err)
	}
	s := &ratchet.Session{Peer: p}
	s.Level = tlsstate.TLS13
	for d := range tlsstate.Day(6) {
		s.At = (today - 5 + d).Time()
		decision := judge.Decide(s)
		judge.Learn(s, &decision)
	}
	b.ReportAllocs()
	for b.Loop() {
		if d := judge.Decide(s); d.Changes {
			b.Fatal("not steady")
		}
	}
}
