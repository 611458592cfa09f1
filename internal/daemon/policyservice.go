package daemon

import (
	"context"
	"net"
	"net/netip"
	"time"

	"tlsratchet/internal/config"
	"tlsratchet/internal/policyservice"
)

// policyService is the second door to the ratchet. nil: switched off. Mail does
// not need it: Postfix goes on without an answer.
type policyService struct {
	server    *policyservice.Server
	listeners []net.Listener
	seen      policyservice.Connections
	done      chan struct{}
}

// newPolicyService returns nil where the configuration has no listener for it.
// Make it before the milter, which notes what it sees, and serve it after.
func newPolicyService(cfg *config.Config) (p *policyService, err error) {
	if len(cfg.PolicyService.Listen) == 0 {
		return nil, nil
	}
	p = &policyService{done: make(chan struct{})}
	p.listeners, err = listen(cfg, cfg.PolicyService.Listen)
	return p, err
}

// sees returns what the milter calls for each message; nil where nobody asks.
func (p *policyService) sees() func(netip.Addr, string) {
	if p == nil {
		return nil
	}
	return p.seen.See
}

func (d *Daemon) servePolicy() {
	p := d.policy
	if p == nil {
		return
	}
	limits := policyservice.DefaultLimits()
	limits.Connections = d.atStart.Limits.Connections
	p.server = policyservice.New(policyservice.Deps{
		Judge: d.ratchet, Now: time.Now, Events: d.onEvent, Elsewhere: p.seen.Has, Log: d.log,
	}, policyOptions(d.config.Load()), limits)
	go func() {
		defer close(p.done)
		if err := p.server.Serve(p.listeners...); err != nil {
			d.log.Error("the policy service stopped", "error", err)
		}
	}()
}

func policyOptions(cfg *config.Config) policyservice.Options {
	m := milterOptions(cfg)
	return policyservice.Options{HeaderAll: m.HeaderAll, ExemptRecipients: m.ExemptRecipients, Contact: m.Contact}
}

func (p *policyService) reload(cfg *config.Config) {
	if p != nil && p.server != nil {
		p.server.SetOptions(policyOptions(cfg))
	}
}

// close drains it, or only closes its listeners where it never served.
func (p *policyService) close(ctx context.Context) {
	switch {
	case p == nil:
	case p.server == nil:
		closeListeners(p.listeners)
	default:
		p.server.Shutdown(ctx) // late answers are DUNNO to Postfix
		<-p.done
		p.server = nil
	}
}
