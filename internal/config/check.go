package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"tlsratchet/milter/wire"
	"tlsratchet/tlsstate"
)

// Warnings returns what is allowed and probably not meant, each with its place
// in the file.
func (c *Config) Warnings() []string { return c.warnings }

// warn notes a warning about a position of the file.
func (l *loader) warn(position, format string, args ...any) {
	l.config.warnings = append(l.config.warnings, l.problem(position, fmt.Errorf(format, args...)).Error())
}

// ofService matches the variables that Kubernetes sets for a service, such as one
// that is called tlsratchet.
var ofService = regexp.MustCompile(`_SERVICE_(HOST|PORT)|_PORT(_[0-9]+_(TCP|UDP|SCTP).*)?$`)

// CheckVariables warns of variables with our prefix that nobody reads: a name that is
// misspelt. environ is as [os.Environ] returns it; others are names that somebody
// else reads.
func (c *Config) CheckVariables(environ []string, others ...string) {
	known := append(others, SharedPassword)
	for _, s := range settings(c) {
		known = append(known, s.variable())
	}
	for _, d := range c.Destinations {
		for _, reference := range []string{d.URL, d.Secret, d.Token} {
			known = append(known, strings.TrimPrefix(reference, "env:"))
		}
	}
	for _, v := range environ {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, variables) && !slices.Contains(known, name) && !ofService.MatchString(name) {
			c.warnings = append(c.warnings, fmt.Sprintf("the variable %s is ignored: no key has this name", shown(name)))
		}
	}
}

// check looks for what each key allows, and all together don't. rows are the
// [[peer]] rows and, after them, those of the lists of networks.
func (l *loader) check(rows []tlsstate.Row) {
	p, out := &l.config.Policy, l.config.outboundPolicy()
	l.checkDays("policy.pin_after_days", p)
	if days := l.config.Outbound; days.PinAfterDays > 0 || days.PinMaxAgeDays > 0 {
		l.checkDays("outbound.pin_after_days", &out)
	}
	for i, row := range l.config.Peers {
		l.checkSuffix(dotted(l.tables[i], "domain"), row.Domain, row.Subdomains)
		l.checkSuffix(dotted(l.tables[i], "sender"), row.Sender, row.Subdomains)
		l.checkFingerprints(dotted(l.tables[i], "fingerprint"), row.Fingerprints != nil)
	}
	for i, row := range l.config.Sends {
		l.checkSuffix(dotted(l.sendTables[i], "domain"), row.Domain, row.Subdomains)
	}
	l.checkFingerprints("policy.pin_certificates", p.PinCertificates == tlsstate.CertByKey)
	l.checkOverruled(rows)
	l.checkAddresses()
}

// checkFingerprints warns of a key that has no effect without the policy service.
func (l *loader) checkFingerprints(position string, wanted bool) {
	if wanted && len(l.config.PolicyService.Listen) == 0 {
		l.warn(position, "a milter never gets fingerprints of certificates: set policy_service.listen, see docs/policy-service.md")
	}
}

// Address is where serve is to listen, by a key of the configuration.
type Address struct {
	Key string
	wire.Spec
}

// Addresses returns where serve is to listen.
func (c *Config) Addresses() (all []Address) {
	add := func(key string, where ...wire.Spec) {
		for _, at := range where {
			all = append(all, Address{key, at})
		}
	}
	add("listen", c.Listen...)
	add("policy_service.listen", c.PolicyService.Listen...)
	add("outbound.listen", c.OutboundListen()...)
	if path := c.AdminSocket(); path != "" {
		add("admin.socket", wire.Spec{Network: wire.NetworkUnix, Address: path})
	}
	if c.Status.Listen != Off {
		add("status.listen", wire.Spec{Network: wire.NetworkTCP, Address: c.Status.Listen})
	}
	return all
}

// checkAddresses refuses one address for two listeners: the second would not
// come up, or take the first one's place.
func (l *loader) checkAddresses() {
	first := make(map[wire.Spec]string)
	for _, at := range l.config.Addresses() {
		key, other := at.Key, first[at.Spec]
		if first[at.Spec] = key; other == "" || at.Network == wire.NetworkSystemd {
			continue
		}
		if l.doc.line(key) == 0 && l.variables[key] == "" { // by default
			key, other = other, key
		}
		l.at(key, fmt.Errorf("%s is already the address of %s", at, other))
	}
}

// checkDays refuses a pin that forms after it has lapsed.
func (l *loader) checkDays(key string, p *tlsstate.Policy) {
	if p.PinAfterDays > p.PinMaxAgeDays {
		l.at(key, fmt.Errorf("%d is more than pin_max_age_days = %d: nothing would be pinned", p.PinAfterDays, p.PinMaxAgeDays))
	}
}

// checkSuffix refuses names below which strangers register theirs, and warns of
// what may be meant all the same.
func (l *loader) checkSuffix(position, name string, subdomains bool) {
	if suffix, icann := publicsuffix.PublicSuffix(name); name == "" || suffix != name || !icann && !strings.Contains(name, ".") {
		return
	} else if icann && subdomains && strings.Contains(name, ".") {
		l.at(position, fmt.Errorf("%s is a public suffix, and with its subdomains everybody under it: name a domain below it", name))
		return
	}
	l.warn(position, "%s is a public suffix: those below it are strangers to each other", name)
}

// checkOverruled warns of networks whose row, which goes before a domain's and
// before a wider network's, demands less than that.
func (l *loader) checkOverruled(rows []tlsstate.Row) {
	demanding := slices.DeleteFunc(slices.Clone(rows), func(r tlsstate.Row) bool { return r.Least == tlsstate.Plaintext || r.Sender != "" })
	for i, row := range rows {
		if !row.Network.IsValid() || row.Judged {
			continue
		}
		at := slices.IndexFunc(demanding, func(other tlsstate.Row) bool {
			if other.Least <= row.Least {
				return false
			}
			if other.Network.IsValid() {
				return other.Network.Bits() < row.Network.Bits() && other.Network.Contains(row.Network.Addr())
			}
			return i < len(l.config.Peers) // a domain's hosts may be anywhere, but hardly in a list of our own
		})
		if at < 0 {
			continue
		}
		position := "exempt_networks"
		if i < len(l.config.Peers) {
			position = dotted(l.tables[i], "network")
		}
		other := demanding[at]
		name := other.Domain
		if name == "" {
			name = other.Network.String()
		}
		l.warn(position, "%s goes before the row of %s: its clients need not reach least = %q", row.Network, name, other.Least)
	}
}
