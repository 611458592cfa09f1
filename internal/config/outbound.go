package config

import (
	"cmp"
	"path"

	"tlsratchet/milter/wire"
	"tlsratchet/tlsstate"
)

// The words of [Outbound].
const (
	// Hold answers Postfix with "encrypt" for destinations whose pin holds;
	// Observe logs what that would have deferred.
	Hold    = "hold"
	Observe = "observe"
	// Journal is systemd's journal as the source of Postfix's log.
	Journal = "journal"
	// Beside is the listener [PolicySocket] in the folder of the milter's
	// socket, or the one of that name that systemd passes.
	Beside       = "beside"
	PolicySocket = "policy.sock"
	// PolicyServiceSocket is the name by which systemd passes a socket of the
	// policy service.
	PolicyServiceSocket = "policy-service.sock"
)

// Outbound is the sending side: what Postfix is answered, and what is learned
// from its log.
type Outbound struct {
	// Listen are the sockets on which Postfix asks; none turns the sending side
	// off. One may be [Beside]: see [Config.OutboundListen].
	Listen []wire.Spec
	// Log is [Journal], the clean absolute path of Postfix's log, or [Off].
	Log string
	// Action is [Hold] or [Observe].
	Action string
	// ReleaseOnOutage lets mail go while many destinations fail at once, which is our
	// own network's fault.
	ReleaseOnOutage bool
	// Postfix are the configuration directories of the instances that ask.
	Postfix []string
	// Least is the least level of a pin that is held: a destination that is
	// held must meet smtp_tls_mandatory_protocols.
	Least tlsstate.Level
	// The day numbers of [tlsstate.Policy]; 0 stands for those of [policy].
	PinAfterDays, PinMaxAgeDays, ReleaseAfterDays, RelaxAfterDays int
}

// OutboundListen returns where Postfix asks, with [Beside] resolved: a unix
// socket, or one of systemd. It is left out where the milter listens on TCP alone.
func (c *Config) OutboundListen() (all []wire.Spec) {
	for _, l := range c.Outbound.Listen {
		if l.Network != Beside {
			all = append(all, l)
			continue
		}
		for _, m := range c.Listen {
			if m.Network == wire.NetworkSystemd {
				all = append(all, m)
				break
			}
			if file := path.Join(path.Dir(m.Address), PolicySocket); m.Network == wire.NetworkUnix && len(file) <= maxSocketPath {
				all = append(all, wire.Spec{Network: wire.NetworkUnix, Address: file})
				break
			}
		}
	}
	return all
}

// outboundPolicy returns the base policy for destinations. A downgrade in clear
// is held, which is Postfix's way of tempfail, or observed; weaker TLS can't be
// held back by "encrypt".
func (c *Config) outboundPolicy() tlsstate.Policy {
	o, p := &c.Outbound, c.Policy
	p.PinAfterDays = cmp.Or(o.PinAfterDays, p.PinAfterDays)
	p.PinMaxAgeDays = cmp.Or(o.PinMaxAgeDays, p.PinMaxAgeDays)
	p.ReleaseAfterDays = cmp.Or(o.ReleaseAfterDays, p.ReleaseAfterDays)
	p.RelaxAfterDays = cmp.Or(o.RelaxAfterDays, p.RelaxAfterDays)
	p.Stripped, p.Weakened, p.Unauthenticated = tlsstate.Observe, tlsstate.Observe, tlsstate.Observe
	if o.Action == Hold {
		p.Stripped = tlsstate.Tempfail
	}
	return p
}

// RulesFor returns the rules that identities of a kind are judged by: of
// destinations and their hosts the policy of [outbound] and the [[send]] rows.
func (c *Config) RulesFor(k tlsstate.Kind) *tlsstate.Rules {
	if k == tlsstate.Destination || k == tlsstate.MX {
		return c.outboundRules
	}
	return c.Rules()
}
