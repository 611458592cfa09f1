package daemon

import (
	"log/slog"

	"tlsratchet/internal/config"
	"tlsratchet/internal/peer/spf"
	"tlsratchet/internal/peer/spf/resolver"
	"tlsratchet/internal/status"
)

// senders is what proves senders by SPF. The zero value proves none.
type senders struct {
	prover   *spf.Prover
	resolver *resolver.Resolver
}

func newSenders(cfg config.SPF, log *slog.Logger) senders {
	if !cfg.On {
		return senders{}
	}
	dns := resolver.DefaultOptions()
	dns.Timeout = cfg.Timeout
	res := resolver.New(dns, resolver.Network(cfg.Resolver))
	options := spf.DefaultOptions()
	options.Timeout = cfg.Timeout
	return senders{prover: spf.New(res, options, log), resolver: res}
}

// proving returns what is counted of proofs; nil where there are none. The
// senders come after the pages, which ask when somebody looks.
func (d *Daemon) proving() func() status.Senders {
	if !d.config.Load().SPF.On {
		return nil
	}
	return func() status.Senders { return d.senders.stats() }
}

func (s senders) stats() status.Senders {
	if s.prover == nil {
		return status.Senders{}
	}
	proofs, dns := s.prover.Stats(), s.resolver.Stats()
	by := func(r spf.Result) uint64 { return proofs.Results[r] }
	return status.Senders{
		Proven: by(spf.Proven), NotPassed: by(spf.NotPassed), Wide: by(spf.Wide),
		NoAnswer: by(spf.NoAnswer), Limited: by(spf.Limited), Failed: by(spf.Failed),
		Dropped: proofs.Dropped, Waiting: proofs.Waiting,
		Cached: dns.Hits, Asked: dns.Questions, Unanswered: dns.Failures,
	}
}

// close ends proofs under way; the prover goes before its resolver.
func (s senders) close() {
	if s.prover != nil {
		s.prover.Close()
		s.resolver.Close()
	}
}
