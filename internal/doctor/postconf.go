package doctor

import (
	"context"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/postconf"
)

// Postfix is the configuration of one instance.
type Postfix struct {
	// base is the command that reads and sets this instance's parameters.
	base []string
	// raw are the parameters of main.cf as they stand there; main are all, with
	// defaults, and with $name expanded.
	raw, main map[string]string
	// rawOverrides are the -o options of master.cf, by names such as
	// "smtp/inet/smtpd_milters", as they stand there. overrides are the parameters of
	// services that have some, expanded: one option may change others.
	rawOverrides, overrides map[string]string
	services                []service
}

// ReadPostfix asks postconf(1) of the instance in a configuration directory, or
// of the default one if dir is empty.
func ReadPostfix(ctx context.Context, dir string) (*Postfix, error) {
	var failed error
	if dir != "" { // Postfix's processes, and whoever pastes, have another working directory
		dir, failed = filepath.Abs(dir)
	}
	ask := func(args ...string) (out string) {
		if failed == nil { // else it fails, or hangs, once more
			out, failed = postconf.Ask(ctx, dir, args...)
		}
		return out
	}
	p := parsePostfix(postconf.Command(dir), ask("-n"), ask("-x"), ask("-M"), ask("-P"))
	if failed == nil {
		failed = postconf.Expand(ctx, dir, p.main, p.overrides)
	}
	return p, failed
}

// parsePostfix reads what postconf(1) printed: the parameters that are set, all of
// them, the services, and what these override.
func parsePostfix(base []string, set, all, services, overrides string) *Postfix {
	p := &Postfix{
		base: base, raw: postconf.Settings(set), main: postconf.Settings(all),
		rawOverrides: postconf.Settings(overrides), overrides: postconf.Settings(overrides),
	}
	chrooted := "y"
	if level := p.main["compatibility_level"]; level == "" || level == "0" {
		chrooted = "y-" // which is what no answer meant before Postfix 3.0
	}
	for _, line := range strings.Split(services, "\n") {
		if f := strings.Fields(line); len(f) >= 8 {
			p.services = append(p.services, service{f[0], f[1], strings.Contains(chrooted, f[4]), path.Base(f[7])})
		}
	}
	return p
}

// service is a line of master.cf.
type service struct {
	name, kind string
	chroot     bool
	program    string
}

// label begins what is found at a service; "" for main.cf.
func (s service) label() string {
	if s == (service{}) {
		return ""
	}
	return "service " + s.name + ": "
}

// smtpd returns the smtpd(8) services: the public ones, which are port 25 and
// what postscreen(8) hands its clients to, and the others.
func (p *Postfix) smtpd() (public, others []service) {
	screened := slices.ContainsFunc(p.services, func(s service) bool { return s.program == "postscreen" })
	for _, s := range p.services {
		port := s.name[strings.LastIndexByte(s.name, ':')+1:]
		switch {
		case s.program != "smtpd":
		case s.kind == "inet" && (port == "smtp" || port == "25"), s.kind == "pass" && screened:
			public = append(public, s)
		case s.kind == "inet":
			others = append(others, s)
		}
	}
	return public, others
}

// senders are the smtp(8) services, after the zero service, which is main.cf.
func (p *Postfix) senders() []service {
	all := []service{{}}
	for _, s := range p.services {
		if s.program == "smtp" {
			all = append(all, s)
		}
	}
	return all
}

// value returns a parameter as a service sees it, expanded.
func (p *Postfix) value(s service, name string) string {
	if v, ok := p.overrides[s.option(name)]; ok {
		return v
	}
	return p.main[name]
}

// written returns a parameter of a service as it stands in the file; "" for one that
// does not.
func (p *Postfix) written(s service, name string) string {
	if v, ok := p.rawOverrides[s.option(name)]; ok {
		return v
	}
	return p.raw[name]
}

// isYes reports whether a switch is on for a service.
func (p *Postfix) isYes(s service, name string) bool {
	return strings.EqualFold(p.value(s, name), "yes")
}

// isOff reports whether the value of a log level or a switch is off.
func isOff(value string) bool {
	return slices.Contains([]string{"", "0", "no", "none"}, strings.ToLower(value))
}

func (p *Postfix) isOverridden(s service, name string) bool {
	_, ok := p.rawOverrides[s.option(name)]
	return ok
}

func (s service) option(name string) string { return s.name + "/" + s.kind + "/" + name }

// set returns the line that sets a parameter for a service: in main.cf, unless
// master.cf overrides it.
func (p *Postfix) set(s service, name, value string) string {
	if p.isOverridden(s, name) {
		return p.override(s, name, value)
	}
	return p.postconf(name + " = " + value)
}

// override returns the line that sets a parameter in master.cf, where postconf(1)
// takes no blanks: "" for a value with a text that has some.
func (p *Postfix) override(s service, name, value string) string {
	if hasText.MatchString(aroundSigns.ReplaceAllString(value, "$1")) {
		return ""
	}
	return p.command(p.base[0]) + " -P " + quote(s.option(name)+"="+withoutBlanks(value))
}

// postconf returns the line that sets parameters in main.cf.
func (p *Postfix) postconf(settings ...string) string {
	line := p.command(p.base[0]) + " -e"
	for _, s := range settings {
		line += " " + quote(strings.TrimSpace(s))
	}
	return line
}

// command begins a line that calls a program of Postfix for this instance.
func (p *Postfix) command(program string) string {
	for _, s := range p.base[1:] {
		program += " " + word(s)
	}
	return program
}

// word is quote for what needs it.
func word(s string) string {
	if clean.IsWord(strings.TrimPrefix(s, "-")) {
		return s
	}
	return quote(s)
}

// quote makes one word for the shell.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

var (
	aroundSigns = regexp.MustCompile(`\s*([{}=,])\s*`)
	blanks      = regexp.MustCompile(`\s+`)
	// hasText finds a blank in braces within braces, as in inline:{ {key = REJECT some words} }.
	hasText = regexp.MustCompile(`\{[^{}]*\{[^{}]*\s`)
)

// withoutBlanks returns a list without blanks: commas separate as well.
func withoutBlanks(list string) string {
	var words []string
	for _, w := range postconf.List(list) {
		w = aroundSigns.ReplaceAllString(w, "$1")
		words = append(words, blanks.ReplaceAllString(w, ","))
	}
	return strings.Join(words, ",")
}
