package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/config"
	"tlsratchet/internal/incident"
	"tlsratchet/internal/loop"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/selfcheck"
	"tlsratchet/internal/statefile"
	"tlsratchet/tlsstate"
)

// watch is what looks on while mail is judged: the incidents and the tally, our
// own STARTTLS, and the circuit breaker that believes it.
type watch struct {
	book    *incident.Book
	check   *selfcheck.Check // nil: switched off
	breaker *breakerKeeper
	alerts  *alert.Alerts
	log     *slog.Logger
}

// looking is how long the breaker's new answer waits for the self-check: it may
// begin five seconds later, and take its time.
const looking = 10 * time.Second

func newWatch(cfg *config.Config, log *slog.Logger) *watch {
	w, state := &watch{log: log}, stateFile(cfg, "notices.json")
	var works func() (bool, time.Time)
	if cfg.Selfcheck.Address != config.Off {
		o := cfg.Selfcheck
		o.Notify = w.ownTLS
		w.check = selfcheck.New(o)
		works = w.check.Works
	}
	to, err := Destinations(cfg, os.LookupEnv, log)
	if err != nil {
		log.Error("alerts do not reach every destination: those with an error are left out", "error", err)
	}
	w.alerts = alert.New(alert.Options{
		Host: Hostname(), PerHour: cfg.Alert.PerHour, Log: log,
		State: alertState(state, w.check != nil, log), Save: func(s alert.State) error { return state.Write(s) },
		Open: func() []incident.Incident { return w.book.OpenIncidents() },
	})
	w.breaker = newBreaker(cfg, works, w.tripped, log)
	w.book = openIncidents(cfg, w.alerts.Change, log)
	w.alerts.SetDestinations(context.Background(), to)
	if w.breaker.atStart == ratchet.Armed { // maybe since the last stop
		w.notify(alert.BreakerNotice(ratchet.BreakerState{}, ""))
	}
	return w
}

// reload replaces the destinations and their limit. On an error the old
// destinations stay in use.
func (w *watch) reload(cfg *config.Config) {
	w.alerts.SetPerHour(cfg.Alert.PerHour)
	to, err := Destinations(cfg, os.LookupEnv, w.log)
	if err != nil {
		w.log.Error("alert destinations were not reloaded", "error", err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	w.alerts.SetDestinations(ctx, to)
}

// openIncidents opens the incidents. Mail doesn't need them: where their file is
// unavailable, they are kept in memory, and that is logged.
func openIncidents(cfg *config.Config, changed func(incident.Change), log *slog.Logger) *incident.Book {
	options := incident.Options{File: stateFile(cfg, "incidents.json"), Changed: changed, Log: log}
	book, err := incident.Open(options)
	if err != nil {
		log.Error("incidents are kept in memory only", "error", err)
		options.File = statefile.File{}
		book, _ = incident.Open(options) // without a file nothing can fail
	}
	return book
}

// lookSince waits until the self-check has looked at or after a time, within
// reason.
func (w *watch) lookSince(ctx context.Context, t time.Time) {
	if w.check == nil || !w.check.Last().At.Before(t) {
		return
	}
	w.check.Poke()
	ctx, cancel := context.WithTimeout(ctx, looking)
	defer cancel()
	loop.Every(ctx, 50*time.Millisecond, nil, func() {
		if !w.check.Last().At.Before(t) {
			cancel()
		}
	})
}

// take passes an event on, and has our own STARTTLS looked at as soon as one
// comes in clear: so that it is known by when there are many. It is on the mail
// path.
func (w *watch) take(e ratchet.Event) {
	w.book.OnEvent(e)
	if e.Decision.Kind == tlsstate.Stripped && w.check.Last().At.Before(w.breaker.State(e.Session.At).Began) {
		w.check.Poke()
	}
}

// close keeps all that is to be kept. Call it when no session is judged any
// more.
func (w *watch) close() error {
	var errs []error
	if err := w.breaker.close(); err != nil {
		errs = append(errs, fmt.Errorf("save the breaker's state: %w", err))
	}
	if err := w.book.Close(); err != nil {
		errs = append(errs, fmt.Errorf("save the incidents: %w", err))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // for alerts that wait
	defer cancel()
	w.alerts.Close(ctx)
	return errors.Join(errs...)
}

// stateFile returns the file of a name beside the history; where the history is
// in memory, it keeps nothing. Another history in the folder has another file: a
// trial on a copy of the history must not overwrite what alerts are still to be sent.
func stateFile(cfg *config.Config, name string) statefile.File {
	if cfg.InMemory() {
		return statefile.File{}
	}
	folder, history := filepath.Split(cfg.History)
	if history != filepath.Base(config.DefaultHistory) {
		name = history + "." + name
	}
	return statefile.At(filepath.Join(folder, name))
}

// restore reads a state file. One that can't be read is set aside, for the next write
// replaces it; what that means is logged, and nothing is restored.
func restore[T any](file statefile.File, meaning string, log *slog.Logger) (v T) {
	cause := file.Read(&v)
	if cause == nil {
		return v
	}
	aside, removed, err := file.SetAside(time.Now(), nil)
	log.Error(meaning, "renamed", aside, "removed", removed, "error", errors.Join(cause, err))
	return *new(T)
}
