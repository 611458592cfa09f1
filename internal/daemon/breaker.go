package daemon

import (
	"fmt"
	"log/slog"
	"time"

	"tlsratchet/internal/config"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/statefile"
)

// breakerKeeper reports to people when the circuit breaker changes its answer, and
// keeps its state over a restart. The changes come from the mail path and go on
// from a goroutine of its own.
type breakerKeeper struct {
	*ratchet.Breaker
	state   statefile.File
	atStart ratchet.Answer
	log     *slog.Logger
	changes chan ratchet.BreakerState
	stop    chan struct{}
	done    chan struct{}
	emit    func(ratchet.BreakerState)
}

// settleEvery is the time between two looks whether it is armed again, where no
// session asks.
const settleEvery = 10 * time.Second

// newBreaker returns the breaker as it was at the last stop; run it. emit is
// called for each new answer, one at a time.
func newBreaker(cfg *config.Config, selfCheck func() (bool, time.Time), emit func(ratchet.BreakerState), log *slog.Logger) (*breakerKeeper, error) {
	k := &breakerKeeper{
		log: log, emit: emit, state: stateFile(cfg, "breaker.json"), changes: make(chan ratchet.BreakerState, 16), stop: make(chan struct{}), done: make(chan struct{}),
	}
	var err error
	k.Breaker, err = ratchet.NewBreaker(ratchet.BreakerOptions{
		Domains: cfg.Breaker.Domains, Window: cfg.Breaker.Window, PinDays: cfg.Breaker.PinDays,
		SelfCheck: selfCheck, Changed: k.changed,
	})
	if err != nil {
		return nil, fmt.Errorf("breaker: %w", err)
	}
	k.atStart = k.restore()
	return k, nil
}

// changed is on the mail path. A change that finds no room is reported by the next
// one: they say what holds, not what came.
func (k *breakerKeeper) changed(s ratchet.BreakerState) {
	select {
	case k.changes <- s:
	default:
	}
}

func (k *breakerKeeper) run() {
	defer close(k.done)
	settle := time.NewTicker(settleEvery)
	defer settle.Stop()
	for {
		select {
		case s := <-k.changes:
			k.change(s)
		case now := <-settle.C:
			k.State(now) // comes back as a change, if it is one
		case <-k.stop:
			k.drain()
			return
		}
	}
}

func (k *breakerKeeper) drain() {
	for {
		select {
		case s := <-k.changes:
			k.change(s)
		default:
			return
		}
	}
}

func (k *breakerKeeper) change(s ratchet.BreakerState) {
	if err := k.state.Write(s); err != nil {
		k.log.Error("could not save the breaker's state", "error", err)
	}
	k.emit(s)
}

// close keeps the state. Call it when no session is judged any more; changes
// that come all the same are not reported.
func (k *breakerKeeper) close(now time.Time) error {
	close(k.stop)
	<-k.done
	return k.state.Write(k.State(now))
}

func (k *breakerKeeper) restore() ratchet.Answer {
	var s ratchet.BreakerState
	if err := k.state.Read(&s); err != nil {
		k.log.Warn("could not read the breaker's state; it starts armed", "error", err)
		return ratchet.Armed
	}
	k.Restore(s)
	return s.Answer
}
