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
	for _, l := range cfg.PolicyService.Listen {
		o.PolicySockets = append(o.PolicySockets, socketOf(l))
	}
	o.Fingerprints = cfg.Policy.PinCertificates == tlsstate.CertByKey ||
		slices.ContainsFunc(cfg.Peers, func(r tlsstate.Row) bool { return r.Fingerprints != nil })
	for _, l := range cfg.Listen {
		o.Sockets = append(o.Sockets, socketOf(l))
	}
	o.Sending.Hold, o.Sending.Release = wantsHold(cfg), cfg.RulesFor(tlsstate.Destination).Default().ReleaseAfterDays
	for _, l := range cfg.OutboundListen() {
		o.Sending.Sockets = append(o.Sending.Sockets, socketOf(l))
	}
	policy := filepath.Join(filepath.Dir(config.DefaultSocket), config.PolicySocket)
	if i := slices.Index(o.Sending.Sockets, config.DefaultSocket); i >= 0 { // systemd's
		o.Sending.Sockets[i] = policy
	}
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

// socketOf returns a listener as doctor names it.
func socketOf(l wire.Spec) string {
	switch l.Network {
	case wire.NetworkUnix:
		return l.Address
	case wire.NetworkSystemd: // contrib/systemd/tlsratchet.socket opens it there
		return config.DefaultSocket
	}
	return l.String()
}
