package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tlsratchet/internal/alert"
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

// TestPerHourIsReloaded: a reload changes how many alerts an hour are sent.
func TestPerHourIsReloaded(t *testing.T) {
	cfg := testConfig(t)
	cfg.Alert.Log, cfg.Alert.PerHour = "info", 1
	more := *cfg
	more.Alert.PerHour = 20
	synctest.Test(t, func(t *testing.T) {
		log := make(lines, 1000)
		w := newWatch(cfg, slog.New(slog.NewTextHandler(log, nil)))
		inAnHour := func() (n int) {
			for range 60 {
				w.notify(alert.Message{Key: "matter", Title: time.Now().String()})
				time.Sleep(time.Minute)
			}
			synctest.Wait()
			for len(log) > 0 {
				if strings.Contains(<-log, "what=notice") {
					n++
				}
			}
			return n
		}
		inAnHour() // the burst is used up
		before := inAnHour()
		w.reload(&more)
		inAnHour()
		if after := inAnHour(); before != 1 || after != 20 {
			t.Errorf("%d and %d an hour, want 1 and 20", before, after)
		}
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
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
		begin := func() (*breakerKeeper, func()) {
			emit := func(_ context.Context, s ratchet.BreakerState) { answers = append(answers, s.Answer.String()) }
			k := newBreaker(cfg, nil, emit, slog.New(slog.DiscardHandler))
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { k.run(ctx) })
			return k, func() {
				t.Helper()
				stop()
				running.Wait()
				if err := k.close(); err != nil {
					t.Fatal(err)
				}
			}
		}
		k, end := begin()
		state := ratchet.BreakerState{Answer: ratchet.Softened, Since: time.Now()}
		for i := range cfg.Breaker.Domains + 1 {
			state.Recent = append(state.Recent, ratchet.BreakerName{Name: fmt.Sprintf("c%d.example", i), At: time.Now()})
		}
		k.Restore(state)
		time.Sleep(cfg.Breaker.Window / 2)
		end()
		k.changed() // too late, and no harm
		_, end = begin()
		time.Sleep(cfg.Breaker.Window)
		end()
		if got := strings.Join(answers, " "); got != "softened softened armed" {
			t.Errorf("reported %s", got)
		}
	})
}
