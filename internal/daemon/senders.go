package daemon

import (
	"log/slog"

	"tlsratchet/internal/config"
	"tlsratchet/internal/peer/spf"
	"tlsratchet/internal/peer/spf/resolver"
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

// close ends proofs under way; the prover goes before its resolver.
func (s senders) close() error {
	if s.prover != nil {
		s.prover.Close()
		s.resolver.Close()
	}
	return nil
}
