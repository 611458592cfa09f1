package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tlsratchet/alert"
	"tlsratchet/config"
	"tlsratchet/incident"
	"tlsratchet/internal/clean"
	"tlsratchet/ratchet"
	"tlsratchet/selfcheck"
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

func newWatch(cfg *config.Config, log *slog.Logger) (*watch, error) {
	w := &watch{log: log}
	if cfg.Selfcheck.Address != config.Off {
		w.check = selfcheck.New(selfcheck.Options{Address: cfg.Selfcheck.Address, Every: cfg.Selfcheck.Every, Notify: w.ownTLS})
	}
	to, err := destinations(cfg, log)
	if err != nil {
		return nil, err
	}
	w.alerts = alert.New(alert.Options{Host: hostname(), PerHour: cfg.Alert.PerHour, Log: log}, to)
	if w.breaker, err = newBreaker(cfg, w.check.Works, w.tripped, log); err != nil {
		closeAlerts(w.alerts)
		return nil, err
	}
	w.book = openBook(cfg, w.alerts.Change, log)
	w.alerts.Follow(w.book.Open)
	return w, nil
}

// reload replaces the destinations. What is wrong with them leaves the old ones.
func (w *watch) reload(cfg *config.Config) {
	to, err := destinations(cfg, w.log)
	if err != nil {
		w.log.Error("the destinations of alerts were not reloaded", "error", err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	w.alerts.SetDestinations(ctx, to)
}

// openBook opens the incidents. Mail doesn't need them: where their file can't
// be had, they are kept in memory, and the log says so.
func openBook(cfg *config.Config, changed func(incident.Change), log *slog.Logger) *incident.Book {
	options := incident.Options{Changed: changed, Log: log}
	if !cfg.InMemory() {
		options.Path = incident.PathFor(cfg.History)
	}
	book, err := incident.Open(options)
	if err != nil {
		log.Error("incidents are kept in memory alone", "error", err)
		options.Path = ""
		book, _ = incident.Open(options) // without a file nothing can fail
	}
	return book
}

// run does what goes on by itself until ctx ends.
func (w *watch) run(ctx context.Context) {
	if w.check != nil {
		go w.check.Run(ctx)
	}
}

// tripped is told of each new answer of the breaker: what it believes is tried
// out at once.
func (w *watch) tripped(s ratchet.BreakerState) {
	w.check.Poke()
	cause := ""
	if r := w.check.Last(); r.Err != nil {
		cause = clean.Text(r.Err.Error(), maxName)
	}
	w.alerts.Notice(alert.BreakerNotice(s, cause))
}

// ownTLS is told when our own STARTTLS begins or ceases to be a problem.
func (w *watch) ownTLS(n selfcheck.Notice) {
	level := slog.LevelError
	if n.Problem == selfcheck.OK {
		level = slog.LevelInfo
	}
	w.alerts.Notice(selfcheckNotice(n))
	w.log.Log(context.Background(), level, "self-check", "state", n.Problem.String(), "meaning", clean.Text(n.String(), maxWords))
}

// take passes an event on. It is on the mail path.
func (w *watch) take(e ratchet.Event) { w.book.Take(e) }

// close keeps all that is to be kept. Call it when no session is judged any
// more.
func (w *watch) close() error {
	var errs []error
	if err := w.breaker.close(time.Now()); err != nil {
		errs = append(errs, fmt.Errorf("keep the breaker's state: %w", err))
	}
	if err := w.book.Close(); err != nil {
		errs = append(errs, fmt.Errorf("keep the incidents: %w", err))
	}
	closeAlerts(w.alerts)
	return errors.Join(errs...)
}
