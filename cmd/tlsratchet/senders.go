package main

import (
	"log/slog"

	"tlsratchet/config"
	"tlsratchet/peer/spf"
	"tlsratchet/peer/spf/resolver"
	"tlsratchet/ratchet"
)

// senders is what proves senders by SPF. The zero value proves none.
type senders struct {
	prover   *spf.Prover
	resolver *resolver.Resolver
}

func newSenders(cfg config.SPF, r *ratchet.Ratchet, log *slog.Logger) senders {
	if !cfg.On {
		return senders{}
	}
	dns := resolver.DefaultOptions()
	dns.Timeout = cfg.Timeout
	res := resolver.New(dns, resolver.Network(cfg.Resolver))
	options := spf.DefaultOptions()
	options.Timeout = cfg.Timeout
	s := senders{prover: spf.New(res, options, log), resolver: res}
	r.SetSenders(s.prover)
	return s
}

// close ends proofs under way; the prover goes before its resolver.
func (s senders) close() {
	if s.prover != nil {
		s.prover.Close()
		s.resolver.Close()
	}
}
