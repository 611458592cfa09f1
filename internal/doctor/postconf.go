package doctor

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Postfix is the configuration of one instance.
type Postfix struct {
	// main are the parameters that were asked for, services the lines of
	// master.cf in columns, and overrides its -o options as
	// "smtp/inet/smtpd_milters".
	main      map[string]string
	services  [][]string
	overrides map[string]string
}

// parameters are those that the checks look at.
var parameters = []string{
	"smtpd_milters", "milter_default_action", "queue_directory", "mail_owner", "mydomain", "myhostname",
	"smtpd_tls_security_level", "smtpd_use_tls", "smtpd_proxy_filter", "content_filter",
	"smtpd_client_new_tls_session_rate_limit", "smtpd_discard_ehlo_keywords", "smtpd_discard_ehlo_keyword_address_maps",
	"smtpd_tls_ask_ccert", "smtpd_tls_loglevel",
}

// ReadPostfix asks postconf(1) of the instance in a configuration directory, or
// of the default one if dir is empty.
func ReadPostfix(ctx context.Context, dir string) (*Postfix, error) {
	var base []string
	if dir != "" {
		base = []string{"-c", dir}
	}
	ask := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "postconf", append(base, args...)...).Output()
		if err != nil {
			return "", fmt.Errorf("postconf %s: %w", strings.Join(args, " "), err)
		}
		return string(out), nil
	}
	main, err := ask(append([]string{"-x"}, parameters...)...)
	if err != nil {
		return nil, err
	}
	services, err := ask("-M")
	if err != nil {
		return nil, err
	}
	overrides, err := ask("-P")
	if err != nil {
		return nil, err
	}
	return parsePostfix(main, services, overrides), nil
}

func parsePostfix(main, services, overrides string) *Postfix {
	p := &Postfix{main: assignments(main), overrides: assignments(overrides)}
	for _, line := range strings.Split(services, "\n") {
		if f := strings.Fields(line); len(f) >= 8 {
			p.services = append(p.services, f)
		}
	}
	return p
}

// assignments reads "name = value" lines.
func assignments(text string) map[string]string {
	all := make(map[string]string)
	for _, line := range strings.Split(text, "\n") {
		if name, value, ok := strings.Cut(line, "="); ok {
			all[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return all
}

// service is an smtpd(8) line of master.cf.
type service struct {
	name   string
	chroot bool
}

// listeners are the public smtpd services, port 25 by whatever name, and others
// those that are not.
func (p *Postfix) smtpd() (public, others []service) {
	for _, f := range p.services {
		if f[1] != "inet" || !strings.HasPrefix(f[7], "smtpd") && f[7] != "postscreen" {
			continue
		}
		s := service{name: f[0], chroot: f[4] == "y"}
		port := f[0][strings.LastIndexByte(f[0], ':')+1:]
		if port == "smtp" || port == "25" {
			public = append(public, s)
		} else {
			others = append(others, s)
		}
	}
	for _, f := range p.services { // postscreen hands over to this one
		if f[1] == "pass" && f[7] == "smtpd" {
			public = append(public, service{name: f[0], chroot: f[4] == "y"})
		}
	}
	return public, others
}

// of returns a parameter as a service sees it.
func (p *Postfix) of(s service, name string) string {
	for _, kind := range []string{"inet", "pass"} {
		if v, ok := p.overrides[s.name+"/"+kind+"/"+name]; ok {
			return v
		}
	}
	return p.main[name]
}

// milter is one entry of smtpd_milters.
type milter struct {
	endpoint string
	options  map[string]string
}

// parseMilters reads smtpd_milters: entries separated by commas or spaces, each
// a bare endpoint, or in braces with options.
func parseMilters(s string) (all []milter) {
	for s = strings.TrimLeft(s, ", \t\n"); s != ""; s = strings.TrimLeft(s, ", \t\n") {
		var entry string
		if strings.HasPrefix(s, "{") {
			entry, s, _ = strings.Cut(s[1:], "}")
		} else if i := strings.IndexAny(s, ", \t\n"); i >= 0 {
			entry, s = s[:i], s[i:]
		} else {
			entry, s = s, ""
		}
		words := strings.FieldsFunc(entry, func(r rune) bool { return strings.ContainsRune(", \t\n", r) })
		if len(words) == 0 {
			continue
		}
		all = append(all, milter{endpoint: words[0], options: assignments(strings.Join(words[1:], "\n"))})
	}
	return all
}
