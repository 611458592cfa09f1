package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tlsratchet/internal/postconf"
)

// tlsChecks look at whether STARTTLS is offered at all, and to everybody.
func (p *Postfix) tlsChecks() (all []Finding) {
	public, _ := p.smtpd()
	for _, s := range public {
		all = append(all, p.offerCheck(s))
		all = append(all, p.withheldChecks(s)...)
		if isOff(p.value(s, "smtpd_tls_loglevel")) {
			all = append(all, note("log", "the mail log doesn't show which sessions used TLS: tlsratchet replay needs it", p.set(s, "smtpd_tls_loglevel", "1")))
		}
	}
	return unique(all)
}

// offerCheck looks at the level and the certificate of a service.
func (p *Postfix) offerCheck(s service) Finding {
	const check, name = "starttls", "smtpd_tls_security_level"
	offer := p.set(s, name, "may")
	if p.isYes(s, "smtpd_tls_wrappermode") {
		return broken(check, fmt.Sprintf("service %s wants TLS from the first byte, which no other mail host speaks on port 25", s.name), p.override(s, "smtpd_tls_wrappermode", "no"))
	}
	files := p.certificate(s)
	switch level := p.level(s); {
	case level == "encrypt":
		return note(check, fmt.Sprintf("service %s requires STARTTLS of everybody, which RFC 3207 section 4 forbids a public MX: there is nothing left to watch", s.name),
			p.override(s, name, "may")) // other services, for users who log in, may rely on main.cf
	case level == "none" && len(files) == 0:
		return p.noCertificate(s, "offers no STARTTLS: every peer sends in clear")
	case level == "none":
		return broken(check, fmt.Sprintf("service %s offers no STARTTLS: every peer sends in clear", s.name), offer)
	case level != "may":
		return broken(check, fmt.Sprintf("service %s: smtpd(8) knows no %s = %s, and ends", s.name, name, level), offer)
	case len(files) == 0:
		return p.noCertificate(s, "has no certificate: it offers STARTTLS and refuses it")
	case files[0] == anonymous: // postconf(5)
		return note(check, fmt.Sprintf("service %s offers STARTTLS without a certificate, by anonymous ciphers: peers that know none of these send in clear", s.name), "")
	}
	for _, file := range files {
		if !filepath.IsAbs(file) { // smtpd(8) works in the queue
			file = filepath.Join(p.main["queue_directory"], file)
		}
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return broken(check, fmt.Sprintf("service %s offers STARTTLS, which fails: its certificate or key %s does not exist", s.name, file), "")
		}
	}
	return fine(check, fmt.Sprintf("service %s offers STARTTLS", s.name))
}

// noCertificate is fixed by a self-signed one, as good as any to an
// opportunistic peer.
func (p *Postfix) noCertificate(s service, text string) Finding {
	const chain, level = "smtpd_tls_chain_files", "smtpd_tls_security_level"
	file := p.main["config_directory"] + "/tlsratchet.pem"
	line := p.postconf(chain+" = "+file, level+" = may")
	if p.isOverridden(s, chain) || p.isOverridden(s, level) {
		line = p.set(s, chain, file) + " && " + p.set(s, level, "may")
	}
	return broken("starttls", "service "+s.name+" "+text,
		"openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "+quote("/CN="+p.main["myhostname"])+" -keyout "+word(file)+" -out "+word(file)+" && "+line)
}

// level returns the security level, also by the parameters of before 2006.
func (p *Postfix) level(s service) string {
	switch level := strings.ToLower(p.value(s, "smtpd_tls_security_level")); {
	case level == "fingerprint" || level == "verify" || level == "secure": // smtpd(8) warns
		return "encrypt"
	case level != "":
		return level
	case p.isYes(s, "smtpd_enforce_tls"):
		return "encrypt"
	case p.isYes(s, "smtpd_use_tls"):
		return "may"
	}
	return "none"
}

// anonymous is a file's name that stands for none, on purpose.
const anonymous = "none"

// certificate returns the files of a certificate and its key, or anonymous.
func (p *Postfix) certificate(s service) []string {
	for _, kind := range []string{"chain_files", "cert_file", "eccert_file", "dcert_file"} {
		if files := postconf.List(p.value(s, "smtpd_tls_"+kind)); len(files) > 0 {
			return append(files, postconf.List(p.value(s, "smtpd_tls_"+strings.Replace(kind, "cert", "key", 1)))...)
		}
	}
	return nil
}

// withheldChecks look at what takes STARTTLS from single peers.
func (p *Postfix) withheldChecks(s service) (all []Finding) {
	const check = "starttls"
	const keywords, rate = "smtpd_discard_ehlo_keywords", "smtpd_client_new_tls_session_rate_limit"
	words := postconf.List(p.value(s, keywords))
	kept := slices.DeleteFunc(slices.Clone(words), func(k string) bool { return strings.EqualFold(k, "starttls") })
	if len(kept) < len(words) {
		all = append(all, broken(check, keywords+" removes STARTTLS from the EHLO reply", p.set(s, keywords, strings.Join(kept, ", "))))
	}
	if limit := p.value(s, rate); limit != "" && limit != "0" {
		all = append(all, note(check, fmt.Sprintf("%s = %s: a peer over it is refused TLS, and sends in clear", rate, limit), p.override(s, rate, "0")))
	}
	return all
}

// unique leaves out findings that are there already.
func unique(all []Finding) (rest []Finding) {
	for _, f := range all {
		if !slices.Contains(rest, f) {
			rest = append(rest, f)
		}
	}
	return rest
}
