package daemon

import (
	"context"
	"log/slog"
	"time"

	"tlsratchet/internal/config"
	"tlsratchet/internal/loop"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/statefile"
	"tlsratchet/internal/trouble"
)

// breakerKeeper reports to people when the circuit breaker changes its answer, and
// keeps its state over a restart.
type breakerKeeper struct {
	*ratchet.Breaker
	state   statefile.File
	atStart ratchet.Answer
	log     *slog.Logger
	emit    func(context.Context, ratchet.BreakerState)
	// news: the answer may be another one. It comes from the mail path.
	news chan struct{}
	// last is what was reported and written last. Only run touches it, and close
	// after it.
	last struct {
		answer, holds       ratchet.Answer
		overridden, unsaved bool
	}
	saving trouble.State
}

// settleEvery is the time between two looks whether it is armed again, where no
// session asks.
const settleEvery = 10 * time.Second

// newBreaker returns the breaker as it was at the last stop; run it. emit is
// called for each new answer, one at a time.
func newBreaker(cfg *config.Config, selfCheck func() (bool, time.Time), emit func(context.Context, ratchet.BreakerState), log *slog.Logger) *breakerKeeper {
	k := &breakerKeeper{
		log: log, emit: emit, state: stateFile(cfg, "breaker.json"), news: make(chan struct{}, 1),
		saving: trouble.State{Begins: "could not save the breaker's state", Ends: "the breaker's state is saved again"},
	}
	o := cfg.Breaker
	o.SelfCheck, o.Changed = selfCheck, func(ratchet.Answer) { k.changed() }
	k.Breaker = ratchet.NewBreaker(o)
	s := restore[ratchet.BreakerState](k.state, "could not read the breaker's state; it starts armed", log)
	k.Restore(s)
	if k.atStart = s.Answer; k.atStart != ratchet.Armed {
		k.last.answer = ratchet.Excused // none: what holds now is reported at once
	}
	return k
}

// changed is on the mail path, and for an operator's override.
func (k *breakerKeeper) changed() { loop.Wake(k.news) }

// run reports until ctx ends.
func (k *breakerKeeper) run(ctx context.Context) {
	loop.Every(ctx, settleEvery, k.news, func() { k.report(ctx) })
}

func (k *breakerKeeper) report(ctx context.Context) {
	s := k.State(time.Now())
	before := k.last
	k.last.answer, k.last.holds, k.last.overridden, k.last.unsaved = s.Answer, s.Holds(), s.Override != nil, false
	if k.last != before {
		err := k.state.Write(s)
		k.saving.Note(k.log, err)
		k.last.unsaved = err != nil
	}
	if s.Answer != before.answer {
		k.emit(ctx, s)
	}
}

// close keeps the state. Call it when no session is judged any more, and run has
// ended.
func (k *breakerKeeper) close() error {
	ended, end := context.WithCancel(context.Background())
	end()
	k.report(ended)
	return k.state.Write(k.State(time.Now()))
}
