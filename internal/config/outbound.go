package config

import (
	"cmp"
	"fmt"
	"path"
	"strconv"

	"tlsratchet/tlsstate"
)

// The words of [Outbound].
const (
	// Hold answers Postfix with "encrypt" for destinations whose pin holds;
	// Observe logs what that would have deferred.
	Hold    = "hold"
	Observe = "observe"
	// Release is for [Outbound.OnOutage].
	Release = "release"
	// Journal is systemd's journal as the source of Postfix's log.
	Journal = "journal"
	// Beside is the listener [PolicySocket] in the folder of the milter's
	// socket, or the one of that name that systemd passes.
	Beside       = "beside"
	PolicySocket = "policy.sock"
)

// Outbound is the sending side: what Postfix is answered, and what is learned
// from its log.
type Outbound struct {
	// Listen are the sockets on which Postfix asks; none turns the sending side
	// off. One may be [Beside]: see [Config.OutboundListen].
	Listen []Listener
	// Log is [Journal], the clean absolute path of Postfix's log, or [Off].
	Log string
	// Action is [Hold] or [Observe].
	Action string
	// OnOutage is what happens while many destinations fail at once, which is
	// our own network's fault: [Hold] or [Release].
	OnOutage string
	// Postfix are the configuration directories of the instances that ask.
	Postfix []string
	// Least is the least level of a pin that is held: a destination that is
	// held must meet smtp_tls_mandatory_protocols.
	Least tlsstate.Level
	// The day numbers of [tlsstate.Policy]; 0 stands for those of [policy].
	PinAfterDays, PinMaxAgeDays, ReleaseAfterDays, RelaxAfterDays int
}

func defaultOutbound() Outbound {
	return Outbound{
		Listen: []Listener{{Network: Beside}}, Log: Journal, Action: Observe, OnOutage: Hold,
		Postfix: []string{"/etc/postfix"}, Least: tlsstate.TLS12,
	}
}

func outboundSettings() []setting[Config] {
	return []setting[Config]{
		list("outbound.listen", 0,
			func(c *Config) *[]Listener { return &c.Outbound.Listen }, parseOutboundListener, Listener.String),
		word("outbound.log", func(c *Config) *string { return &c.Outbound.Log }, parseOutboundLog, same),
		word("outbound.action", func(c *Config) *string { return &c.Outbound.Action }, oneOf(Observe, Hold), same),
		word("outbound.on_outage", func(c *Config) *string { return &c.Outbound.OnOutage }, oneOf(Hold, Release), same),
		list("outbound.postfix", 1,
			func(c *Config) *[]string { return &c.Outbound.Postfix }, parsePath, same),
		word("outbound.least", func(c *Config) *tlsstate.Level { return &c.Outbound.Least }, parseLevel, tlsstate.Level.String),
		asPolicy("outbound.pin_after_days", func(c *Config) *int { return &c.Outbound.PinAfterDays }, 1, 64),
		asPolicy("outbound.pin_max_age_days", func(c *Config) *int { return &c.Outbound.PinMaxAgeDays }, 1, 3650),
		asPolicy("outbound.release_after_days", func(c *Config) *int { return &c.Outbound.ReleaseAfterDays }, 2, 64),
		asPolicy("outbound.relax_after_days", func(c *Config) *int { return &c.Outbound.RelaxAfterDays }, 2, 64),
	}
}

// policyWord stands for the number of [policy].
const policyWord = "policy"

// asPolicy is a key whose value is a whole number, or "policy" for the number
// of the same name in [policy].
func asPolicy(key string, field func(*Config) *int, lo, hi int) setting[Config] {
	s := integer(key, field, lo, hi)
	number := s.set
	s.set = func(c *Config, raw any) error {
		if raw == policyWord {
			*field(c) = 0
			return nil
		}
		if err := number(c, raw); err != nil {
			return fmt.Errorf("%w, or %q", err, policyWord)
		}
		return nil
	}
	s.show = func(c *Config) string {
		if n := *field(c); n != 0 {
			return strconv.Itoa(n)
		}
		return quote(policyWord)
	}
	return s
}

func parseOutboundListener(s string) (Listener, error) {
	if s == Beside {
		return Listener{Network: Beside}, nil
	}
	l, err := parseListener(s)
	if err != nil || l.Network == Systemd {
		return l, fmt.Errorf("unknown listener %s: use %s, unix:/path or inet:host:port", shown(s), Beside)
	}
	return l, nil
}

func parseOutboundLog(s string) (string, error) {
	if s == Journal || s == Off {
		return s, nil
	}
	file, err := parsePath(s)
	if err != nil {
		return "", fmt.Errorf("%w, %q or %q", err, Journal, Off)
	}
	return file, nil
}

// OutboundListen returns where Postfix asks, with [Beside] resolved: a unix
// socket, or [Systemd]. It is left out where the milter listens on TCP alone.
func (c *Config) OutboundListen() (all []Listener) {
	for _, l := range c.Outbound.Listen {
		if l.Network != Beside {
			all = append(all, l)
			continue
		}
		for _, m := range c.Listen {
			if m.Network == Systemd {
				all = append(all, m)
				break
			}
			if file := path.Join(path.Dir(m.Address), PolicySocket); m.Network == Unix && len(file) <= maxSocketPath {
				all = append(all, Listener{Network: Unix, Address: file})
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

// OutboundRules returns the policy for destinations and the [[send]] rows, made
// ready.
func (c *Config) OutboundRules() *tlsstate.Rules { return c.outboundRules }

// sendSettings returns the keys of a [[send]] row.
func sendSettings() []setting[tlsstate.Row] {
	return []setting[tlsstate.Row]{
		word("send.domain", func(r *tlsstate.Row) *string { return &r.Domain }, parseDomain, same),
		boolean("send.subdomains", func(r *tlsstate.Row) *bool { return &r.Subdomains }),
		word("send.action", func(r *tlsstate.Row) **tlsstate.Action { return &r.Action }, parseSendAction, showSendAction),
		word("send.least", func(r *tlsstate.Row) *tlsstate.Level { return &r.Least }, parseLevel, tlsstate.Level.String),
		boolean("send.exempt", func(r *tlsstate.Row) *bool { return &r.Exempt }),
	}
}

func parseSendAction(s string) (*tlsstate.Action, error) {
	word, err := oneOf(Observe, Hold)(s)
	a := tlsstate.Observe
	if word == Hold {
		a = tlsstate.Tempfail
	}
	return &a, err
}

func showSendAction(a *tlsstate.Action) string {
	switch {
	case a == nil:
		return ""
	case *a == tlsstate.Observe:
		return Observe
	}
	return Hold
}

// sends reads the [[send]] rows, and makes the rules of them.
func (l *loader) sends(raw any) {
	tables(l, raw, "send", sendSettings(), func(row tlsstate.Row, position string) {
		l.config.Sends = append(l.config.Sends, row)
		l.sendTables = append(l.sendTables, position)
	})
}
