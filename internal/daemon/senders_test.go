package daemon

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/peer/spf"
	"tlsratchet/internal/peer/spf/resolver"
	"tlsratchet/internal/status"
)

// TestSendersStats: what is counted of proofs and of DNS reaches the metrics
// under its own name.
func TestSendersStats(t *testing.T) {
	if got := (senders{}).stats(); got != (status.Senders{}) {
		t.Errorf("without SPF: %+v", got)
	}
	zone := map[string]string{"bank.example": "v=spf1 ip4:192.0.2.10 -all", "wide.example": "v=spf1 +all"}
	exchange := func(_ context.Context, q resolver.Question) (resolver.Answer, time.Duration, error) {
		text, ok := zone[q.Name]
		if !ok {
			return resolver.Answer{}, 0, resolver.ErrFailed
		}
		return resolver.Answer{Texts: []string{text}}, time.Minute, nil
	}
	r := resolver.New(resolver.DefaultOptions(), exchange)
	s := senders{prover: spf.New(r, spf.DefaultOptions(), slog.New(slog.DiscardHandler)), resolver: r}
	defer s.close()
	bank, err := peer.Identify(peer.Client{Addr: "192.0.2.10"})
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"bank.example", "bank.example", "wide.example", "down.example"} {
		c, ok := spf.ClaimOf(&bank, "a@"+from)
		if !ok {
			t.Fatal(from)
		}
		s.prover.Prove(t.Context(), c)
	}
	want := status.Senders{Proven: 2, Wide: 1, NoAnswer: 1, Cached: 1, Asked: 3, Unanswered: 1}
	if diff := cmp.Diff(want, s.stats()); diff != "" {
		t.Error(diff)
	}
}
