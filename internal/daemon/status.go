package daemon

import (
	"context"
	"net"
	"runtime"
	"time"

	"golang.org/x/net/netutil"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/config"
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

// pages is what the page and the metrics show, and counts for them.
type pages struct {
	census  *status.Census
	recent  *status.Recent
	metrics *status.Metrics
}

// newPages returns the counters of a daemon whose histories and watch are
// there; the rest is asked for when somebody looks.
func newPages(d *Daemon) pages {
	p := pages{
		census: &status.Census{All: d.histories.All, Rules: d.rulesFor},
		recent: &status.Recent{},
	}
	p.metrics = status.NewMetrics(d.counts)
	return p
}

// counts are what the metrics show at a scrape.
func (d *Daemon) counts() status.Counts {
	open, _ := d.watch.book.Count()
	n := status.Counts{
		Version:       d.version,
		Go:            runtime.Version(),
		Store:         d.histories.Stats(),
		Connections:   d.server.Stats(),
		Unjudged:      d.ratchet.Failures(),
		NoMacros:      d.milter.NoFacts(),
		Callback:      d.milter.Failures(),
		Census:        d.pages.census.Last(),
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
	if s := d.senders; s.prover != nil {
		n.Senders = &status.Senders{Proofs: s.prover.Stats(), DNS: s.resolver.Stats()}
	}
	return n
}

// count walks through the memory again and again until ctx ends.
func (d *Daemon) count(ctx context.Context) {
	every(ctx, censusEvery, nil, func() {
		if err := d.pages.census.Count(ctx); err != nil && ctx.Err() == nil {
			d.log.Error("the memory was not counted", "error", err)
		}
	})
}

// take is on the mail path.
func (p pages) take(e ratchet.Event) {
	p.metrics.Take(e)
	p.recent.Take(e)
}

func (d *Daemon) rulesFor(k tlsstate.Kind) *tlsstate.Rules { return d.config.Load().RulesFor(k) }

func (d *Daemon) breaker() ratchet.BreakerState { return d.watch.breaker.State(time.Now()) }

// addStatus opens the port of metrics and page. Mail doesn't need it.
func (d *Daemon) addStatus(cfg *config.Config) error {
	if cfg.Status.Listen == config.Off {
		return nil
	}
	server, err := status.NewServer(status.ServerOptions{
		Address: cfg.Status.Listen, Names: cfg.Status.Names, Metrics: d.pages.metrics, Page: d.page(cfg),
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
		Downgrades: d.pages.recent.On, Census: d.pages.census.Last,
		Breaker: d.breaker, SelfCheck: d.watch.check.Last, Sending: d.sending.Overview,
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
