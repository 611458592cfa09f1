// Package daemon is tlsratchet serving: the parts put together by one
// configuration, reloaded, and drained.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"reflect"
	"sync/atomic"
	"time"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/config"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
	"tlsratchet/milter"
	"tlsratchet/milter/wire"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// ConfigError is an error that a change of the configuration repairs.
type ConfigError struct{ Err error }

// Error returns what is wrong.
func (e ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e ConfigError) Unwrap() error { return e.Err }

// histories is what the daemon asks of a store.
type histories interface {
	admin.Memory
	Stats() store.Stats
	Close() error
}

// Daemon is tlsratchet serving: its parts, put together.
type Daemon struct {
	version string
	// config is the newest, atStart the one whose parts that need a restart run.
	config    atomic.Pointer[config.Config]
	atStart   *config.Config
	level     *slog.LevelVar
	log       *slog.Logger
	notify    notifier
	histories histories
	watch     *watch
	pages     pages
	senders   senders
	ratchet   *ratchet.Ratchet
	milter    *milter.Milter
	server    *wire.Server
	listeners []net.Listener
	sending   *sending
	policy    *policyService
	admin     atomic.Pointer[http.Server]
}

// New opens the memory and the listeners. On an error nothing stays open.
func New(cfg *config.Config, version string, stderr io.Writer) (*Daemon, error) {
	d := &Daemon{version: version, level: &slog.LevelVar{}, atStart: cfg}
	d.config.Store(cfg)
	d.log = NewLogger(stderr, cfg, d.level)
	d.notify = notifier{d.log}
	log.SetOutput(wire.LogWriter(d.log)) // go-milter's own lines
	log.SetFlags(0)

	var err error
	if d.histories, err = openHistories(cfg, d.log); err != nil {
		return nil, err
	}
	if err := d.share(cfg.Shared); err != nil {
		return nil, errors.Join(err, d.histories.Close())
	}
	if d.watch, err = newWatch(cfg, d.log); err != nil {
		return nil, errors.Join(err, d.histories.Close())
	}
	d.pages = newPages(d)
	d.newRatchet(cfg)
	d.policy, err = newPolicyService(cfg)
	if err == nil {
		d.milter = milter.New(milter.Deps{
			Judge: d.ratchet, Now: time.Now, Events: d.onEvent, Seen: d.policy.sees(),
		}, milterOptions(cfg), d.log)
		d.server, err = newServer(cfg, d.milter, d.log)
	}
	if err == nil {
		d.listeners, err = listen(cfg, cfg.Listen)
	}
	if err == nil {
		d.startSending(cfg)
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *Daemon) newRatchet(cfg *config.Config) {
	d.senders = newSenders(cfg.SPF, d.log)
	o := ratchet.Options{
		Histories: d.histories, Rules: cfg.Rules(), Breaker: d.watch.breaker.Breaker,
		Observe: d.pages.metrics.Observe, Log: d.log, PlainListeners: cfg.PlainListeners,
	}
	if cfg.SPF.On {
		o.Senders = d.senders.prover
	}
	d.ratchet = ratchet.New(o)
}

func openHistories(cfg *config.Config, log *slog.Logger) (histories, error) {
	if cfg.InMemory() {
		return store.NewMemory(cfg.Limits.Cache), nil
	}
	if err := makeDefaultFolder(cfg.History, config.DefaultHistory, 0o700); err != nil {
		return nil, err
	}
	file, err := store.OpenOrRecover(cfg.History, store.Options{
		CacheSize:     cfg.Limits.Cache,
		MaxIdentities: cfg.Limits.Identities,
		KeepDays:      cfg.Policy.PinMaxAgeDays + 7*tlsstate.Window,
		ReadTimeout:   cfg.Limits.Read,
		Logger:        log,
	})
	if err != nil {
		return nil, fmt.Errorf("open the history %s: %w", cfg.History, err)
	}
	return file, nil
}

func milterOptions(cfg *config.Config) milter.Options {
	return milter.Options{
		HeaderAll:        cfg.Header == config.HeaderAll,
		ExemptRecipients: cfg.ExemptRecipients,
		Contact:          cfg.Reply.Contact,
	}
}

func newServer(cfg *config.Config, m *milter.Milter, log *slog.Logger) (*wire.Server, error) {
	limits := wire.DefaultLimits()
	limits.Connections, limits.Idle = cfg.Limits.Connections, cfg.Limits.Idle
	return wire.New(wire.Config{
		Backend:    m.Backend,
		Actions:    milter.Actions,
		Protocol:   milter.Protocol,
		SymList:    milter.Symbols(),
		KeepHeader: milter.KeepHeader,
		Limits:     limits,
		Log:        log,
	})
}

// ConfirmClock has the daemon believe its clock, though it is far ahead of the
// newest record.
func (d *Daemon) ConfirmClock() { d.ratchet.ConfirmClock(tlsstate.DayOf(time.Now())) }

// Run serves until done, then drains: sessions in the middle of a message get
// their answers, and what was learned is written.
func (d *Daemon) Run(ctx context.Context, done <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	go func() { failed <- d.server.Serve(d.listeners...) }()
	go d.notify.watchdog(ctx, d.alive)
	d.watch.run(ctx, d.histories.Load)
	d.sending.run()
	d.servePolicy()
	stopAdmin, stopStatus := d.serveAdmin(ctx, d.config.Load()), d.serveStatus(ctx, d.config.Load())
	d.started()

	var err error
	select {
	case <-done:
	case err = <-failed:
		err = fmt.Errorf("serve: %w", err)
		d.log.Error("a listener failed", "error", err)
	}
	d.notify.stopping()
	err = errors.Join(err, d.drain(ctx))
	stopAdmin()
	stopStatus()
	err = errors.Join(err, d.close())
	d.log.Info("stopped")
	return err
}

// close writes what is to be kept, once no session is judged any more.
func (d *Daemon) close() error {
	d.sending.close()
	d.policy.close(context.Background())
	d.senders.close()
	err := d.watch.close()
	if closed := d.histories.Close(); closed != nil {
		err = errors.Join(err, fmt.Errorf("write the history: %w", closed))
	}
	return err
}

// onEvent passes an event to the log, the incidents and the counters. It is on the mail path.
func (d *Daemon) onEvent(e ratchet.Event) {
	words.Log(d.log, &e)
	d.watch.take(e)
	d.pages.take(e)
}

func (d *Daemon) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.atStart.Limits.Drain)
	defer cancel()
	d.policy.close(ctx)
	if err := d.server.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop serving: %w", err)
	} else if err != nil {
		d.log.Warn("sessions were cut off at the end of the drain", "drain", d.atStart.Limits.Drain.String())
	}
	return nil
}

// warn logs what is probably not meant in a configuration.
func (d *Daemon) warn(cfg *config.Config) {
	for _, w := range cfg.Warnings() {
		d.log.Warn("configuration", "warning", w)
	}
}

// started logs the start in one line.
func (d *Daemon) started() {
	cfg := d.config.Load()
	d.warn(cfg)
	where := make([]string, len(d.listeners))
	for i, l := range d.listeners {
		where[i] = l.Addr().String()
	}
	d.log.Info("serving", "version", d.version, "listen", where, "history", cfg.History,
		"identities", d.histories.Len(), "stripped", cfg.Policy.Stripped.String(), "pin_after_days", cfg.Policy.PinAfterDays)
	d.notify.ready()
}

// alive reports whether a decision can be made.
func (d *Daemon) alive() error {
	_, err := d.histories.Load(tlsstate.Identity{Kind: tlsstate.Listener, Name: "watchdog"})
	return err
}

// ReloadOn calls reload for each signal until ctx ends. What is wrong with the
// new configuration is logged, and the previous one stays in use.
func (d *Daemon) ReloadOn(ctx context.Context, hangup <-chan os.Signal, reload func() error) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			d.notify.reloading()
			if err := reload(); err != nil {
				d.log.Error("configuration not reloaded; the previous one stays in use", "error", err)
			}
			d.notify.ready()
		}
	}
}

// Reload swaps what can be swapped while serving.
func (d *Daemon) Reload(next *config.Config) {
	d.config.Store(next)
	d.ratchet.SetRules(next.Rules())
	d.milter.SetOptions(milterOptions(next))
	d.policy.reload(next)
	d.level.Set(next.Log.Level)
	d.watch.reload(next)
	d.restoreSockets()
	d.sending.reload(next)
	d.warn(next)
	d.log.Info("configuration reloaded", "stripped", next.Policy.Stripped.String(), "peers", len(next.Peers))
	if fixed := needsRestart(d.atStart, next); len(fixed) > 0 {
		d.log.Warn("these settings differ from what runs and need a restart", "settings", fixed)
	}
}

// needsRestart lists the settings of next that do not run until a restart.
func needsRestart(running, next *config.Config) (changed []string) {
	for _, s := range []struct {
		name          string
		running, next any
	}{
		{"listen", running.Listen, next.Listen},
		{"history", running.History, next.History},
		{"shared", running.Shared, next.Shared},
		{"socket", running.Socket, next.Socket},
		{"limits", running.Limits, next.Limits},
		{"admin", running.Admin, next.Admin},
		{"selfcheck", running.Selfcheck, next.Selfcheck},
		{"status", running.Status, next.Status},
		{"spf", running.SPF, next.SPF},
		{"breaker", running.Breaker, next.Breaker},
		{"policy_service", running.PolicyService, next.PolicyService},
		{"outbound.listen", running.Outbound.Listen, next.Outbound.Listen},
		{"outbound.log", running.Outbound.Log, next.Outbound.Log},
		{"log.format", running.Log.Format, next.Log.Format},
	} {
		if !reflect.DeepEqual(s.running, s.next) {
			changed = append(changed, s.name)
		}
	}
	return changed
}
