package doctor

import (
	"fmt"
	"path/filepath"
	"strings"
)

// milterChecks look at how Postfix is told of us. sockets are the paths that
// the daemon listens on.
func (p *Postfix) milterChecks(sockets []string) []Finding {
	const check = "milter"
	line := p.line(sockets)
	public, others := p.smtpd()
	var all []Finding
	for _, s := range public {
		m, first, found := p.find(s, sockets)
		switch {
		case !found:
			all = append(all, broken(check, fmt.Sprintf("service %s has no milter at %s in smtpd_milters", s.name, strings.Join(sockets, " or ")), line))
			continue
		case p.action(m) != "accept":
			all = append(all, broken(check, fmt.Sprintf("service %s: without the daemon mail gets %q: the default action is not accept", s.name, p.action(m)), line))
		case !first:
			all = append(all, note(check, fmt.Sprintf("service %s: other milters come first, and don't see the header", s.name), line))
		default:
			all = append(all, fine(check, fmt.Sprintf("service %s asks us first, and goes on without us", s.name)))
		}
		if path, ok := strings.CutPrefix(m.endpoint, "unix:"); ok && s.chroot && filepath.IsAbs(path) {
			all = append(all, broken("chroot", fmt.Sprintf("service %s runs chrooted in %s and can't see %s", s.name, p.main["queue_directory"], path), line))
		}
	}
	if len(public) == 0 {
		all = append(all, note(check, "master.cf has no smtpd(8) on port 25: this host takes no mail from others", ""))
	}
	return append(all, p.submissionChecks(others, sockets)...)
}

func (p *Postfix) submissionChecks(others []service, sockets []string) (all []Finding) {
	for _, s := range others {
		if _, _, found := p.find(s, sockets); found {
			all = append(all, note("submission", fmt.Sprintf("service %s asks us too: your own users are no peers", s.name),
				fmt.Sprintf("postconf -P %s/inet/smtpd_milters=", s.name)))
		}
	}
	return all
}

// find looks for our milter in a service's list.
func (p *Postfix) find(s service, sockets []string) (m milter, first, found bool) {
	for i, m := range parseMilters(p.of(s, "smtpd_milters")) {
		for _, socket := range sockets {
			if p.absolute(m.endpoint) == socket {
				return m, i == 0, true
			}
		}
	}
	return milter{}, false, false
}

// absolute returns an endpoint's path in the file system, or the endpoint.
func (p *Postfix) absolute(endpoint string) string {
	path, ok := strings.CutPrefix(endpoint, "unix:")
	if ok && !filepath.IsAbs(path) {
		return filepath.Join(p.main["queue_directory"], path)
	}
	if ok {
		return filepath.Clean(path)
	}
	return endpoint
}

func (p *Postfix) action(m milter) string {
	if a := m.options["default_action"]; a != "" {
		return a
	}
	return p.main["milter_default_action"]
}

// line is what to put into main.cf.
func (p *Postfix) line(sockets []string) string {
	endpoint := "unix:tlsratchet/tlsratchet.sock"
	if len(sockets) > 0 && !filepath.IsAbs(sockets[0]) {
		endpoint = sockets[0]
	} else if len(sockets) > 0 {
		endpoint = "unix:" + sockets[0]
		if rel, err := filepath.Rel(p.main["queue_directory"], sockets[0]); err == nil && !strings.HasPrefix(rel, "..") {
			endpoint = "unix:" + rel
		}
	}
	return fmt.Sprintf("postconf -e 'smtpd_milters = { %s, default_action=accept }'", endpoint)
}

// tlsChecks look at whether STARTTLS is offered at all, and to everybody.
func (p *Postfix) tlsChecks() (all []Finding) {
	const check = "starttls"
	public, _ := p.smtpd()
	for _, s := range public {
		level := p.of(s, "smtpd_tls_security_level")
		switch {
		case level == "encrypt":
			all = append(all, note(check, fmt.Sprintf("service %s requires STARTTLS of everybody, which RFC 3207 section 4 forbids a public MX: there is nothing left to watch", s.name), "postconf -e smtpd_tls_security_level=may"))
		case level == "may", level == "" && p.main["smtpd_use_tls"] == "yes":
			all = append(all, fine(check, fmt.Sprintf("service %s offers STARTTLS", s.name)))
		default:
			all = append(all, broken(check, fmt.Sprintf("service %s offers no STARTTLS: every peer comes in clear", s.name), "postconf -e smtpd_tls_security_level=may"))
		}
	}
	if keywords := p.main["smtpd_discard_ehlo_keywords"]; strings.Contains(strings.ToLower(keywords), "starttls") {
		all = append(all, broken(check, "smtpd_discard_ehlo_keywords takes STARTTLS out of the EHLO reply", "postconf -e smtpd_discard_ehlo_keywords="))
	}
	if maps := p.main["smtpd_discard_ehlo_keyword_address_maps"]; maps != "" {
		all = append(all, note(check, "smtpd_discard_ehlo_keyword_address_maps may take STARTTLS from single peers: they will look stripped", ""))
	}
	if rate := p.main["smtpd_client_new_tls_session_rate_limit"]; rate != "" && rate != "0" {
		all = append(all, note(check, fmt.Sprintf("smtpd_client_new_tls_session_rate_limit = %s: a peer over it is refused TLS, and comes in clear", rate), "postconf -e smtpd_client_new_tls_session_rate_limit=0"))
	}
	if p.main["smtpd_tls_loglevel"] == "0" {
		all = append(all, note(check, "the mail log doesn't say what sessions used: tlsratchet replay needs it", "postconf -e smtpd_tls_loglevel=1"))
	}
	return all
}

// filterChecks look at what stands between us and the end of a message.
func (p *Postfix) filterChecks() (all []Finding) {
	public, _ := p.smtpd()
	for _, s := range public {
		if filter := p.of(s, "smtpd_proxy_filter"); filter != "" {
			all = append(all, note("filter", fmt.Sprintf("service %s has smtpd_proxy_filter = %s: the end of a message never comes to us, so header and quarantine can't work; tempfail and reject do", s.name, filter), ""))
		}
	}
	if filter := p.main["content_filter"]; filter != "" {
		all = append(all, note("filter", fmt.Sprintf("content_filter = %s: the service that takes mail back from it must not ask us, nor drop our header", filter),
			"in master.cf, for that service: -o smtpd_milters= -o receive_override_options=no_header_body_checks"))
	}
	return all
}
