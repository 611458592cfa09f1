package doctor

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tlsratchet/internal/postconf"
)

// milterChecks look at how Postfix asks us. sockets are the paths that the
// daemon listens on, and other listeners as Postfix names them; policySockets are
// those of the policy service.
func (p *Postfix) milterChecks(sockets, policySockets []string) []Finding {
	public, others := p.smtpd()
	if len(public) == 0 {
		return []Finding{note("milter", "master.cf has no smtpd(8) on port 25: this instance receives no mail from other hosts there", "")}
	}
	var all []Finding
	spreads := false // the new value of main.cf reaches other services
	for _, s := range public {
		if _, at, _ := p.find(s, sockets); at < 0 && p.policyIn(s, recipientList, policySockets).at >= 0 {
			continue // it asks by the other door
		}
		found := p.milterCheck(s, sockets)
		spreads = spreads || found[0].Fix != "" && !p.isOverridden(s, "smtpd_milters")
		all = append(all, found...)
	}
	for _, s := range others {
		all = append(all, p.otherCheck(s, sockets, spreads)...)
	}
	if list := p.main["non_smtpd_milters"]; !spreads && p.count(list, sockets) > 0 {
		all = append(all, note("local mail", "non_smtpd_milters asks tlsratchet about local mail, which has no peer",
			p.postconf("non_smtpd_milters = "+p.without(list, list, sockets))))
	}
	return all
}

// milterCheck looks at one public service.
func (p *Postfix) milterCheck(s service, sockets []string) (all []Finding) {
	if slices.Contains(postconf.List(p.value(s, overrideOptions)), "no_milters") {
		return []Finding{broken("milter", fmt.Sprintf("service %s: %s has no_milters: no milter is asked", s.name, overrideOptions), "")}
	}
	m, at, reachable := p.find(s, sockets)
	bad := func(severity Severity, check, format string, args ...any) {
		all = append(all, Finding{check, severity, "service " + s.name + ": " + fmt.Sprintf(format, args...), p.milterFix(s, sockets)})
	}
	if at < 0 {
		bad(Broken, "milter", "has no milter at %s in smtpd_milters", strings.Join(sockets, " or "))
		if p.endpoint(s.chroot, sockets) == "" {
			bad(Broken, "chroot", "%s", p.unseen(sockets[0], sockets))
		}
		return all
	}
	if action := p.option(s, m, "milter_", "default_action"); !strings.EqualFold(action, "accept") {
		bad(Broken, "milter", "when the daemon is down, Postfix answers mail with %q: the default action is not accept", action)
	}
	if !reachable {
		bad(Broken, "chroot", "%s", p.unseen(m.endpoint, sockets))
	}
	if n := p.count(p.value(s, "smtpd_milters"), sockets); n > 1 {
		bad(Broken, "milter", "smtpd_milters names tlsratchet %d times: each entry is asked, with its own default action", n)
	}
	if slow := p.slow(s, m); slow != "" {
		bad(Note, "milter", "a daemon that hangs delays each session: %s", slow)
	}
	if at > 0 {
		bad(Note, "milter", "other milters come first: they don't see our header, and what they reject is not learned")
	}
	if len(all) == 0 {
		all = append(all, fine("milter", fmt.Sprintf("service %s asks tlsratchet first, and works without it", s.name)))
	}
	return all
}

// overrideOptions is the parameter that switches milters off, and header_checks.
const overrideOptions = "receive_override_options"

// otherCheck looks at a service that serves our own users and filters.
func (p *Postfix) otherCheck(s service, sockets []string, spreads bool) []Finding {
	list := p.value(s, "smtpd_milters")
	asks := p.count(list, sockets) > 0 || spreads && !p.isOverridden(s, "smtpd_milters")
	if !asks || slices.Contains(postconf.List(p.value(s, overrideOptions)), "no_milters") {
		return nil
	}
	return []Finding{note("submission", fmt.Sprintf("service %s asks tlsratchet too: your own users and filters are no peers", s.name),
		p.override(s, "smtpd_milters", p.without(p.written(s, "smtpd_milters"), list, sockets)))}
}

// find returns our entry in a service's list and its place, or -1.
func (p *Postfix) find(s service, sockets []string) (m milter, at int, reachable bool) {
	for i, m := range parseMilters(p.value(s, "smtpd_milters")) {
		if is, reachable := p.isOurs(m.endpoint, s.chroot, sockets); is {
			return m, i, reachable
		}
	}
	return milter{}, -1, false
}

// count returns how many entries of a list are ours.
func (p *Postfix) count(list string, sockets []string) int {
	return len(parseMilters(list)) - len(p.others(list, sockets))
}

// others returns the entries of a list, as they are written, that are not ours.
func (p *Postfix) others(list string, sockets []string) (texts []string) {
	for _, m := range parseMilters(list) {
		if !p.names(m, sockets) {
			texts = append(texts, m.text)
		}
	}
	return texts
}

// names reports whether an entry is one of our sockets, for a chrooted service
// or another; or the default one, which nobody else has.
func (p *Postfix) names(m milter, sockets []string) bool {
	plain, _ := p.isOurs(m.endpoint, false, sockets)
	chrooted, _ := p.isOurs(m.endpoint, true, sockets)
	return plain || chrooted || strings.HasSuffix(m.endpoint, "tlsratchet/tlsratchet.sock")
}

// without returns a list without our entries: as it is written, or expanded
// where they come from another parameter.
func (p *Postfix) without(written, expanded string, sockets []string) string {
	if p.count(expanded, sockets) > 0 && p.count(written, sockets) == 0 {
		written = expanded
	}
	return strings.Join(p.others(written, sockets), ", ")
}

// milterFix returns the line that puts us first in a service's list; "" where it
// would not see us. The other milters stay as they are, and so does what refers to
// the list.
func (p *Postfix) milterFix(s service, sockets []string) string {
	m, at, reachable := p.find(s, sockets)
	endpoint := m.endpoint
	if at < 0 || !reachable {
		endpoint = p.endpoint(s.chroot, sockets)
	}
	if endpoint == "" {
		return ""
	}
	list := m.with(endpoint)
	if rest := p.without(p.written(s, "smtpd_milters"), p.value(s, "smtpd_milters"), sockets); rest != "" {
		list += ", " + rest
	}
	if p.isOverridden(s, "smtpd_milters") {
		return p.override(s, "smtpd_milters", list)
	}
	return p.postconf(append([]string{"smtpd_milters = " + list}, p.referring(sockets)...)...)
}

var refersToMilters = regexp.MustCompile(`\$[({]?smtpd_milters\b`)

// referring returns settings that keep the parameters which refer to
// $smtpd_milters at their present value, without us.
func (p *Postfix) referring(sockets []string) (settings []string) {
	for _, name := range slices.Sorted(maps.Keys(p.raw)) {
		if refersToMilters.MatchString(p.raw[name]) {
			settings = append(settings, name+" = "+p.without(p.main[name], p.main[name], sockets))
		}
	}
	return settings
}

// filterChecks look at what stands between us and the end of a message.
func (p *Postfix) filterChecks() (all []Finding) {
	_, others := p.smtpd()
	for _, s := range others {
		const name, want = overrideOptions, "no_header_body_checks"
		options := postconf.List(p.value(s, name))
		if p.value(s, "content_filter") == "" && p.main["content_filter"] != "" && p.main["header_checks"] != "" && !slices.Contains(options, want) {
			all = append(all, note("filter", fmt.Sprintf("service %s takes mail back from the content filter: header_checks there may remove our header", s.name),
				p.override(s, name, strings.Join(append(postconf.List(p.written(s, name)), want), ","))))
		}
	}
	return all
}

const throughProxy = "peers' addresses come from a proxy; their TLS is seen only if the proxy passes STARTTLS through"

// instanceChecks point out the instances of Postfix beside the one that is looked at.
func (p *Postfix) instanceChecks() (all []Finding) {
	for _, dir := range postconf.List(p.main["multi_instance_directories"]) {
		all = append(all, note("instances", fmt.Sprintf("%s is another instance of Postfix: only %s is looked at", dir, p.main["config_directory"]), "tlsratchet doctor --postfix "+word(dir)))
	}
	return all
}

// limits are parameters of the public services that take something from us where they
// are set, and not to "yes": the check, the parameter, and what it means. A parameter
// begins with the name of its program.
var limits = [][3]string{
	{"front", "smtpd_upstream_proxy_protocol", throughProxy},
	{"front", "postscreen_upstream_proxy_protocol", throughProxy},
	{"front", "smtpd_milter_maps", "the clients in it have other milters than smtpd_milters, or none: name tlsratchet there too"},
	{"front", "smtpd_peername_lookup", "peers are known by their addresses alone, not by the domains of their hosts"},
	{"front", "smtpd_authorized_xclient_hosts", "for these hosts the peer is who they name, but the TLS is their own"},
	{"starttls", "smtpd_discard_ehlo_keyword_address_maps", "it may take STARTTLS from single peers: they will look stripped"},
	{"filter", "smtpd_proxy_filter", "milters don't see the end of a message, so header and quarantine can't work; tempfail and reject do"},
}

// limitChecks look at what stands before the public services, or behind them.
func (p *Postfix) limitChecks() (all []Finding) {
	public, _ := p.smtpd()
	for _, s := range p.services {
		for _, l := range limits {
			v := p.value(s, l[1])
			if v != "" && !p.isYes(s, l[1]) && strings.HasPrefix(l[1], s.program+"_") && (s.program == "postscreen" || slices.Contains(public, s)) {
				all = append(all, note(l[0], fmt.Sprintf("%s = %s: %s", l[1], v, l[2]), ""))
			}
		}
	}
	return unique(all)
}
