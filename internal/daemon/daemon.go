// Package daemon is tlsratchet serving: the parts put together by one
// configuration, reloaded, and drained.
package daemon

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tlsratchet/internal/config"
	"tlsratchet/internal/inbound"
	"tlsratchet/internal/peer/spf"
	"tlsratchet/internal/peer/spf/resolver"
	"tlsratchet/internal/policyservice"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/status"
	"tlsratchet/internal/words"
	"tlsratchet/milter"
	"tlsratchet/milter/wire"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// ConfigError is an error that a change of the configuration repairs.
type ConfigError struct{ error }

// Unwrap returns what is wrong.
func (e ConfigError) Unwrap() error { return e.error }

// Daemon is tlsratchet serving: its parts, put together.
type Daemon struct {
	version string
	// config is the newest, atStart the one whose parts that need a restart run.
	config    atomic.Pointer[config.Config]
	atStart   *config.Config
	level     *slog.LevelVar
	log       *slog.Logger
	notify    notifier
	histories store.Store
	watch     *watch
	// processors are Go's.
	processors *processors
	// census, recent and metrics are what the page and the metrics show.
	census  *status.Census
	recent  status.Recent
	metrics *status.Metrics
	// prover proves senders by SPF, and asks resolver; nil: switched off.
	prover   *spf.Prover
	resolver *resolver.Resolver
	ratchet  *ratchet.Ratchet
	milter   *milter.Milter
	server   *wire.Server
	policy   *policyservice.Server // nil: switched off
	sending  *sending              // nil: switched off

	// look is that of sockets for Postfix.
	look  wire.ListenOptions
	doors []*door
	// listening is where the doors were opened, as the configuration spells it.
	listening []string
	failed    chan error // of a door for mail
	running   sync.WaitGroup
	// mu is held while a reload is under way. serving ends as the stop begins, and
	// with it all reloads.
	mu         sync.Mutex
	serving    context.Context
	endServing context.CancelFunc
	// closers write what is to be kept, each after those that come later.
	closers []func() error
}

// New opens the memory and the listeners. On an error nothing stays open.
func New(cfg *config.Config, version string, stderr io.Writer) (*Daemon, error) {
	d := &Daemon{version: version, level: &slog.LevelVar{}, atStart: cfg, failed: make(chan error, 1), processors: newProcessors()}
	d.serving, d.endServing = context.WithCancel(context.Background())
	d.config.Store(cfg)
	d.log = NewLogger(stderr, cfg, d.level)
	d.notify = notifier{d.log}
	log.SetOutput(wire.LogWriter(d.log)) // go-milter's own lines
	log.SetFlags(0)
	for _, step := range []func(*config.Config) error{d.open, d.observe, d.judge, d.addMail, d.addAdmin, d.addStatus} {
		if err := step(cfg); err != nil {
			return nil, errors.Join(err, d.close())
		}
	}
	return d, nil
}

// observe prepares what looks on while mail is judged.
func (d *Daemon) observe(cfg *config.Config) error {
	d.watch = newWatch(cfg, d.log)
	d.closers = append(d.closers, d.watch.close)
	d.census = &status.Census{All: d.histories.All, Rules: d.rulesFor}
	d.metrics = status.NewMetrics(d.scrape)
	return nil
}

// judge makes what judges mail.
func (d *Daemon) judge(cfg *config.Config) error {
	o := ratchet.Options{
		Histories: d.histories, Changes: d.histories.Changes, Rules: cfg.Rules(), Breaker: d.watch.breaker.Breaker,
		Observe: d.metrics.Observe, Log: d.log, PlainListeners: cfg.PlainListeners,
	}
	if cfg.SPF.On {
		dns, options := resolver.DefaultOptions(), spf.DefaultOptions()
		dns.Timeout, options.Timeout = cfg.SPF.Timeout, cfg.SPF.Timeout
		d.resolver = resolver.New(dns, resolver.Network(cfg.SPF.Resolver))
		d.prover = spf.New(d.resolver, options, d.log)
		o.Senders = d.prover
		d.closers = append(d.closers, func() error { d.prover.Close(); d.resolver.Close(); return nil })
	}
	d.ratchet = ratchet.New(o)
	return nil
}

// addMail opens the doors for mail: the milter, the policy service, and the
// sending side. systemd passes the sockets of these two among those of the milter.
func (d *Daemon) addMail(cfg *config.Config) (err error) {
	d.look.Mode = cfg.Socket.Mode
	if d.look.Group, err = socketGroup(cfg); err != nil {
		return err
	}
	var seen *policyservice.Connections
	var see func(*inbound.Client, string)
	if len(cfg.PolicyService.Listen) > 0 {
		seen = policyservice.NewConnections()
		see = seen.See
	}
	d.milter = milter.New(d.inbound(), cfg.Options, see)
	d.server = newServer(cfg, d.milter, d.log)
	o := &door{name: milterDoor, where: cfg.Listen, look: d.look, mail: true, serve: d.server.Serve, stop: d.server.Shutdown}
	if err := d.add(o); err != nil {
		return err
	}
	if err := d.addPolicyService(cfg, seen, o.handOver(config.PolicyServiceSocket)); err != nil {
		return err
	}
	return d.addSending(cfg, o.handOver(config.PolicySocket))
}

// addPolicyService opens the second door to the ratchet beside the sockets that
// systemd passed for it, if it is switched on: if seen, the connections whose
// clients the milter judges, is not nil.
func (d *Daemon) addPolicyService(cfg *config.Config, seen *policyservice.Connections, passed []net.Listener) error {
	if seen == nil {
		d.hangUp(passed)
		return nil
	}
	limits := policyservice.DefaultLimits()
	limits.Connections = cfg.Limits.Connections
	d.policy = policyservice.New(d.inbound(), cfg.Options, seen.Has, limits)
	where := slices.DeleteFunc(slices.Clone(cfg.PolicyService.Listen), func(l wire.Spec) bool {
		return slices.ContainsFunc(passed, func(p net.Listener) bool { return p.Addr().String() == l.Address })
	})
	return d.add(&door{
		name: policyDoor, where: where, look: d.look, mail: true, listeners: passed, serve: d.policy.Serve, stop: d.policy.Shutdown,
	})
}

// inbound is what the doors for the mail that comes work with.
func (d *Daemon) inbound() inbound.Deps {
	return inbound.Deps{Judge: d.ratchet, Now: time.Now, Events: d.onEvent, Log: d.log}
}

func newServer(cfg *config.Config, m *milter.Milter, log *slog.Logger) *wire.Server {
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

// toStop is how long all but the drain of a stop may take.
const toStop = 30 * time.Second

// Run serves until done, then drains: sessions in the middle of a message get
// their answers, and what was learned is written.
func (d *Daemon) Run(ctx context.Context, done <-chan struct{}) error {
	background, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, o := range d.doors {
		d.running.Go(func() { d.serve(o, o.listeners) })
	}
	d.running.Go(func() { d.notify.watchdog(background, d.alive) })
	for _, run := range []func(context.Context){d.count, d.watch.check.Run, d.watch.breaker.run, d.watchPins, d.watchHistory, d.sending.run} {
		d.running.Go(func() { run(background) })
	}
	d.started()

	var err error
	select {
	case <-done:
	case err = <-d.failed:
	}
	d.endServing()
	d.notify.stopping(d.atStart.Limits.Drain + toStop)
	d.mu.Lock() // a reload that is under way ends first
	defer d.mu.Unlock()
	err = errors.Join(err, d.drain(ctx))
	cancel()
	d.running.Wait()
	err = errors.Join(err, d.close())
	d.log.Info("stopped")
	return err
}

// close writes what is to be kept, once no session is judged any more.
func (d *Daemon) close() error {
	for _, o := range d.doors {
		wire.CloseAll(o.listeners)
	}
	var errs []error
	for _, closer := range slices.Backward(d.closers) {
		errs = append(errs, closer())
	}
	return errors.Join(errs...)
}

// onEvent passes an event to the log, the incidents and the counters. It is on the mail path.
func (d *Daemon) onEvent(e ratchet.Event) {
	words.Log(d.log, &e)
	d.watch.take(e)
	d.metrics.Take(e)
	d.recent.Take(e)
}

// warn logs what is probably not meant in a configuration.
func (d *Daemon) warn(cfg *config.Config) {
	for _, w := range slices.Concat(cfg.Warnings(), tooManyConnections(cfg, ownDescriptors())) {
		d.log.Warn("configuration", "warning", w)
	}
}

// started logs the start in one line.
func (d *Daemon) started() {
	cfg := d.config.Load()
	d.warn(cfg)
	open := make(map[string][]string)
	for _, o := range d.doors {
		for _, l := range o.listeners {
			open[o.name] = append(open[o.name], l.Addr().String())
		}
	}
	d.log.Info("serving", "version", d.version, "listen", open[milterDoor], "policy_service", open[policyDoor], "outbound", open[outboundDoor], "history", cfg.History,
		"identities", d.histories.Len(), "stripped", cfg.Policy.Stripped.String(), "pin_after_days", cfg.Policy.PinAfterDays)
	d.notify.ready()
}

// ready reports whether mail is accepted and judged.
func (d *Daemon) ready() error {
	if d.serving.Err() != nil {
		return errors.New("stopping")
	}
	return d.alive()
}

// alive reports whether a decision can be made.
func (d *Daemon) alive() error {
	_, err := d.histories.Load(tlsstate.Identity{Kind: tlsstate.Listener, Name: "watchdog"})
	return err
}
