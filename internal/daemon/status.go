package daemon

import (
	"context"
	"net"
	"runtime"
	"time"

	"golang.org/x/net/netutil"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/config"
	"tlsratchet/internal/loop"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/policyservice"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/status"
	"tlsratchet/milter/wire"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store/shared"
)

// maxReaders is how many connections to metrics and page are open at once.
const maxReaders = 64

// censusEvery is the time between two walks through the whole memory.
const censusEvery = 10 * time.Minute

// scrape writes what the metrics show beside the counted events.
func (d *Daemon) scrape(w status.Scrape) {
	w.Build(d.version, runtime.Version())
	w.Store(d.histories.Stats())
	connections := d.server.Stats()
	w.Connections(connections)
	w.Census(d.census.Last())
	w.Incidents(d.watch.book.Count(), d.watch.book.Dropped())
	w.Alerts(d.watch.alerts.Stats())
	w.Breaker(d.breaker())
	w.SelfCheck(d.watch.check.Last())
	w.Outbound(d.sending.stats())
	var policy policyservice.Stats
	if d.policy != nil {
		policy = d.policy.Stats()
	}
	w.PolicyService(policy)
	var sharing shared.Stats
	if s, ok := d.histories.(*shared.Store); ok {
		sharing = s.Sharing()
		w.Sharing(sharing)
	}
	w.Errors(d.ratchet.Failures(), d.milter.NoFacts(), d.milter.Failures(), connections.AcceptErrors, sharing.Panics)
	if d.prover != nil {
		w.Senders(d.prover.Stats(), d.resolver.Stats())
	}
}

// count walks through the memory again and again until ctx ends.
func (d *Daemon) count(ctx context.Context) {
	loop.Every(ctx, censusEvery, nil, func() {
		if err := d.census.Count(ctx); err != nil && ctx.Err() == nil {
			d.log.Error("the memory was not counted", "error", err)
		}
	})
}

func (d *Daemon) rulesFor(k tlsstate.Kind) *tlsstate.Rules { return d.config.Load().RulesFor(k) }

func (d *Daemon) breaker() ratchet.BreakerState { return d.watch.breaker.State(time.Now()) }

// addStatus opens the port of metrics and page. Mail doesn't need it.
func (d *Daemon) addStatus(cfg *config.Config) error {
	if cfg.Status.Listen == config.Off {
		return nil
	}
	server, err := status.NewServer(status.ServerOptions{
		Address: cfg.Status.Listen, Names: cfg.Status.Names, Metrics: d.metrics, Page: d.page(cfg, d.operators()),
		Alive: d.alive, Ready: d.ready, Log: d.log,
	})
	if err != nil {
		return err
	}
	o := httpDoor("metrics and status page", server, wire.Spec{Network: wire.NetworkTCP, Address: cfg.Status.Listen}, wire.ListenOptions{})
	serve := o.serve
	o.serve = func(l ...net.Listener) error { return serve(netutil.LimitListener(l[0], maxReaders)) }
	return d.add(o)
}

func (d *Daemon) page(cfg *config.Config, operators *admin.Local) status.Page {
	p := status.Page{
		Version: d.version, Now: time.Now,
		Tally: d.watch.book.Tally, Open: d.watch.book.OpenIncidents, Of: d.watch.book.Of,
		Downgrades: d.recent.On, Census: d.census.Last,
		Breaker: d.breaker, SelfCheck: d.watch.check.Last, Sending: d.sending.Overview,
		Trouble: func() string { return d.histories.Stats().Trouble },
		Resolve: admin.Resolve, Load: operators.Memory.Load, Rules: d.rulesFor, Explain: operators.ExplainSession,
	}
	if d.watch.check != nil {
		p.MX = cfg.Selfcheck.Address
	}
	return p
}

// stats returns the counts of the sending side: zeros where it is off.
func (s *sending) stats() (deliveries outbound.Stats, asked outbound.ServerStats, log outbound.FollowerStats) {
	if s == nil {
		return
	}
	return s.out.Stats(), s.server.Stats(), s.follower.Stats()
}
