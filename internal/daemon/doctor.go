package daemon

import (
	"path/filepath"
	"slices"
	"time"

	"tlsratchet/internal/config"
	"tlsratchet/internal/doctor"
	"tlsratchet/milter/wire"
	"tlsratchet/tlsstate"
)

// DoctorOptions returns what doctor is to check where this configuration runs.
func DoctorOptions(cfg *config.Config) doctor.Options {
	o := doctor.Options{Now: time.Now(), Shared: cfg.Shared.URL != ""}
	policy := filepath.Join(filepath.Dir(config.DefaultSocket), config.PolicySocket)
	o.Sockets, o.PolicySockets = socketsOf(cfg.Listen, config.DefaultSocket), socketsOf(cfg.PolicyService.Listen, "")
	o.Sending.Sockets = socketsOf(cfg.OutboundListen(), policy)
	o.Fingerprints = cfg.Policy.PinCertificates == tlsstate.CertByKey ||
		slices.ContainsFunc(cfg.Peers, func(r tlsstate.Row) bool { return r.Fingerprints != nil })
	o.Sending.Hold, o.Sending.Release = wantsHold(cfg), cfg.RulesFor(tlsstate.Destination).Default().ReleaseAfterDays
	if slices.Contains(o.Sockets, config.DefaultSocket) { // which its unit may have elsewhere
		if milter, sending, ok := opened(); ok {
			o.Sockets = milter
			if i := slices.Index(o.Sending.Sockets, policy); i >= 0 {
				o.Sending.Sockets = slices.Concat(o.Sending.Sockets[:i], sending, o.Sending.Sockets[i+1:])
			}
		}
	}
	if !cfg.InMemory() {
		o.History = cfg.History
	}
	if cfg.Selfcheck.Address != config.Off {
		o.MX = cfg.Selfcheck.Address
	}
	return o
}

// socketsOf returns listeners as doctor names them. bySystemd is where
// contrib/systemd/tlsratchet.socket opens one.
func socketsOf(all []wire.Spec, bySystemd string) (names []string) {
	for _, l := range all {
		name := l.String()
		switch l.Network {
		case wire.NetworkUnix:
			name = l.Address
		case wire.NetworkSystemd:
			name = bySystemd
		}
		names = append(names, name)
	}
	return names
}
