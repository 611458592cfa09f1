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

// counts are what the metrics show at a scrape.
func (d *Daemon) counts() status.Counts {
	open := d.watch.book.Count()
	n := status.Counts{
		Version:       d.version,
		Go:            runtime.Version(),
		Store:         d.histories.Stats(),
		Connections:   d.server.Stats(),
		Unjudged:      d.ratchet.Failures(),
		NoMacros:      d.milter.NoFacts(),
		Callback:      d.milter.Failures(),
		Census:        d.census.Last(),
		OpenIncidents: open,
		DroppedEvents: d.watch.book.Dropped(),
		Alerts:        d.watch.alerts.Stats(),
		Breaker:       d.breaker(),
		SelfCheck:     d.watch.check.Last(),
		Outbound:      d.sending.stats(),
	}
	if d.policy != nil {
		n.PolicyService = d.policy.Stats()
	}
	if s, ok := d.histories.(*shared.Store); ok {
		sharing := s.Sharing()
		n.Sharing = &sharing
	}
	if d.prover != nil {
		n.Senders = &status.Senders{Proofs: d.prover.Stats(), DNS: d.resolver.Stats()}
	}
	return n
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
		Address: cfg.Status.Listen, Names: cfg.Status.Names, Metrics: d.metrics, Page: d.page(cfg),
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

func (d *Daemon) page(cfg *config.Config) status.Page {
	p := status.Page{
		Version: d.version, Now: time.Now,
		Tally: d.watch.book.Tally, Open: d.watch.book.OpenIncidents, Of: d.watch.book.Of,
		Downgrades: d.recent.On, Census: d.census.Last,
		Breaker: d.breaker, SelfCheck: d.watch.check.Last, Sending: d.sending.Overview,
		Trouble: func() string { return d.histories.Stats().Trouble },
		Resolve: admin.Resolve, Load: d.histories.Load, Rules: d.rulesFor, Explain: d.ratchet.Explain,
	}
	if d.watch.check != nil {
		p.MX = cfg.Selfcheck.Address
	}
	return p
}

// stats returns the counts of the sending side: zeros where it is off.
func (s *sending) stats() (n status.Outbound) {
	if s == nil {
		return n
	}
	n.Deliveries, n.Server = s.out.Stats(), s.server.Stats()
	if s.follower != nil {
		n.Follower = s.follower.Stats()
	}
	return n
}
