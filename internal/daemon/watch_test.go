package daemon

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tlsratchet/internal/config"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
)

// TestRepaired distinguishes a repair of ours from somebody who strips us.
func TestRepaired(t *testing.T) {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		state ratchet.BreakerState
		want  bool
	}{
		{ratchet.BreakerState{Answer: ratchet.Softened, Since: noon, BrokenTo: noon.Add(-10 * time.Second)}, true},
		{ratchet.BreakerState{Answer: ratchet.Softened, Since: noon, BrokenTo: noon.Add(-time.Hour)}, false},
		{ratchet.BreakerState{Answer: ratchet.Softened, Since: noon}, false},
		{ratchet.BreakerState{Answer: ratchet.Suspended, Since: noon, BrokenTo: noon}, false},
		{ratchet.BreakerState{}, false},
	} {
		if got := tt.state.Repaired(); got != tt.want {
			t.Errorf("%+v: %t", tt.state, got)
		}
		if text := words.Breaker(&tt.state); strings.Contains(text, "works again;") != tt.want {
			t.Errorf("%+v: %s", tt.state, text)
		}
	}
}

// TestBreakerArmsItself: in quiet, with nobody who asks, and its state is kept.
func TestBreakerArmsItself(t *testing.T) {
	history := filepath.Join(t.TempDir(), "history.db")
	synctest.Test(t, func(t *testing.T) {
		cfg, err := config.Load("", func(string) (string, bool) { return "", false }, config.Flags{"history": history})
		if err != nil {
			t.Fatal(err)
		}
		var answers []string
		begin := func() *breakerKeeper {
			k, err := newBreaker(cfg, nil, func(s ratchet.BreakerState) { answers = append(answers, s.Answer.String()) }, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			k.run()
			return k
		}
		k := begin()
		state := ratchet.BreakerState{Answer: ratchet.Softened, Since: time.Now()}
		for i := range cfg.Breaker.Domains + 1 {
			state.Recent = append(state.Recent, ratchet.BreakerName{Name: fmt.Sprintf("c%d.example", i), At: time.Now()})
		}
		k.Restore(state)
		time.Sleep(cfg.Breaker.Window / 2)
		if err := k.close(); err != nil {
			t.Fatal(err)
		}
		k.changed(state) // too late, and no harm
		k = begin()
		time.Sleep(cfg.Breaker.Window)
		if err := k.close(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(answers, " "); got != "softened softened armed" {
			t.Errorf("reported %s", got)
		}
	})
}
