package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tlsratchet/internal/outbound"
	"tlsratchet/internal/postconf"
)

// Sending is the sending side of the daemon, as far as the checks need it.
type Sending struct {
	// Sockets are where Postfix may ask, as those of [Options]; none for switched off.
	Sockets []string
	// Hold reports whether mail is held, and Release on which day it is let go.
	Hold    bool
	Release int
	// Overview is the daemon's; the zero one without a daemon.
	outbound.Overview
}

const policyMaps, sendingCheck = "smtp_tls_policy_maps", "sending"

// ourTable returns where our table stands in a list of a service, or -1: by where it
// asks, or by its name.
func (p *Postfix) ourTable(by service, tables, sockets []string) int {
	return slices.IndexFunc(tables, func(table string) bool {
		endpoint := asksAt(table)
		is, _ := p.isOurs(endpoint, p.chrooted(by), sockets)
		return is || endpoint != "" && strings.Contains(table, "tlsratchet")
	})
}

// asksAt returns the endpoint that a table asks, or "".
func asksAt(table string) string {
	kind, name, _ := strings.Cut(strings.TrimPrefix(table, "proxy:"), ":")
	switch kind {
	case "socketmap":
		return name[:max(strings.LastIndexByte(name, ':'), 0)]
	case "memcache":
		text, _ := os.ReadFile(name)
		return cmp.Or(postconf.Settings(string(text))["memcache"], "inet:localhost:11211") // memcache_table(5)
	}
	return ""
}

// sendingChecks look at how Postfix asks for destinations: by main.cf, and by each
// smtp(8) service that overrides it. Where nothing asks there is only the log to check,
// unless mail is to be held.
func (p *Postfix) sendingChecks(o Options) (all []Finding) {
	s := &o.Sending
	if len(s.Sockets) == 0 || !s.Hold && !p.asks(s.Sockets) {
		if isOff(p.main["smtp_tls_loglevel"]) {
			all = append(all, note("log", "the mail log doesn't show which deliveries used TLS: tlsratchet replay needs it", p.postconf("smtp_tls_loglevel = 1")))
		}
		return all
	}
	for _, by := range p.senders() {
		for _, f := range p.senderChecks(by, s) {
			f.Text = by.label() + f.Text
			all = append(all, f)
		}
	}
	all = unique(all)
	if s.Forbidden != "" {
		fix := ""
		if isOff(p.main["smtp_tls_security_level"]) {
			fix = p.postconf("smtp_tls_security_level = may")
		}
		all = append(all, note(sendingCheck, "nothing can be held: "+s.Forbidden, fix))
	}
	if life := p.main["maximal_queue_lifetime"]; s.Hold && life != "" && seconds(life, day) < s.Release*day {
		all = append(all, broken(sendingCheck, fmt.Sprintf("maximal_queue_lifetime = %s: held mail is returned before it is let go on day %d; raise it, or lower outbound.release_after_days", life, s.Release), ""))
	}
	if p.main["relayhost"] != "" {
		all = append(all, note(sendingCheck, "relayhost is set: of mail that goes through it, nothing is learned", ""))
	}
	if p.main["smtp_fallback_relay"] != "" {
		all = append(all, note(sendingCheck, "smtp_fallback_relay is set: mail that would wait goes to that host instead, which may send it in clear", ""))
	}
	switch {
	case s.Fault != "":
		all = append(all, broken(sendingCheck, "Postfix's log can't be read: "+s.Fault, ""))
	case o.Running && s.LastLine.IsZero():
		all = append(all, note(sendingCheck, "no line about a delivery was read in Postfix's log yet: is outbound.log right?", ""))
	}
	if len(all) == 0 {
		text := "Postfix asks tlsratchet last, and works without it"
		if !s.LastLine.IsZero() {
			text += fmt.Sprintf("; the newest line about a delivery in its log is %s old", max(o.Now.Sub(s.LastLine), 0).Round(time.Second))
		}
		all = append(all, fine(sendingCheck, text))
	}
	return all
}

// asks reports whether any smtp(8) asks tlsratchet.
func (p *Postfix) asks(sockets []string) bool {
	return slices.ContainsFunc(p.senders(), func(by service) bool {
		return p.ourTable(by, postconf.List(p.value(by, policyMaps)), sockets) >= 0
	})
}

// senderChecks look at what main.cf, or a service of its own, sets for the mail that
// it sends.
func (p *Postfix) senderChecks(by service, s *Sending) (all []Finding) {
	sets := func(name string) bool { return by == service{} || p.isOverridden(by, name) }
	if sets(policyMaps) {
		all = p.tableChecks(by, s)
	}
	for _, want := range [][2]string{{"smtp_tls_loglevel", "1"}, {"smtp_tls_note_starttls_offer", "yes"}} {
		if is := p.value(by, want[0]); sets(want[0]) && isOff(is) {
			all = append(all, broken(sendingCheck, fmt.Sprintf("%s is %q: how mail was sent can't be learned", want[0], is), p.set(by, want[0], want[1])))
		}
	}
	return all
}

// notAsked is the finding on a list without our table. It is broken where the mail that
// is to be held goes by it: by the service smtp.
func (p *Postfix) notAsked(by service, s *Sending) Finding {
	list := strings.TrimPrefix(p.written(by, policyMaps)+", memcache:${config_directory}/tlsratchet-policy.cf", ", ")
	fix := p.set(by, policyMaps, list)
	file := p.main["config_directory"] + "/tlsratchet-policy.cf"
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		fix = p.makeTable(by, file, s.Sockets) + fix
	}
	if usual := (service{name: "smtp", kind: "unix"}); s.Hold && (by.name == usual.name || by.name == "" && !p.isOverridden(usual, policyMaps)) {
		return broken(sendingCheck, "mail is to be held, and smtp_tls_policy_maps does not ask tlsratchet", fix)
	}
	return note(sendingCheck, "smtp_tls_policy_maps does not ask tlsratchet: what is sent by it is not held", fix)
}

// makeTable returns the beginning of a line that makes the file of our table, as
// in contrib/postfix.
func (p *Postfix) makeTable(by service, file string, sockets []string) string {
	return "printf '%s\\n' " + quote(p.tableEndpoint(by, sockets)) + " 'timeout = 1' 'max_try = 1' '" + tableBackup + "' >" + quote(file) + " && "
}

// tableBackup is the line that lets mail go where the daemon is down.
const tableBackup = "backup = inline:{never.invalid=may}"

func (p *Postfix) tableEndpoint(by service, sockets []string) string {
	return "memcache = " + cmp.Or(p.endpoint(p.chrooted(by), sockets), "unix:tlsratchet/policy.sock")
}

// chrooted reports whether a service of smtp(8) is; of main.cf, whether any is.
func (p *Postfix) chrooted(by service) bool {
	return by.chroot || by == service{} && slices.ContainsFunc(p.senders(), func(s service) bool { return s.chroot })
}

// fileCheck looks at the file of our table: without it, or without its backup, mail
// waits while the daemon is down. It is nil where all is well, and where the file
// can't be read.
func (p *Postfix) fileCheck(by service, file string, sockets []string) []Finding {
	text, err := os.ReadFile(file)
	set := postconf.Settings(string(text))
	endpoint := asksAt("memcache:" + file)
	_, reachable := p.isOurs(endpoint, p.chrooted(by), sockets)
	add := func(line string) string { return `printf '\n%s\n' ` + quote(line) + " >>" + quote(file) + " && " }
	wrong, fix := "", ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		wrong, fix = " does not exist: mail is deferred", p.makeTable(by, file, sockets)
	case err != nil:
		return nil
	case set["backup"] == "":
		wrong, fix = " has no backup: when the daemon is down, mail is deferred", add(tableBackup)
	case !reachable:
		wrong = fmt.Sprintf(" has memcache = %s, where smtp(8) does not reach tlsratchet: nothing is held", endpoint)
		if fix = add(p.tableEndpoint(by, sockets)); set["memcache"] != "" {
			fix = "sed -i.old " + quote("s|^memcache[[:space:]]*=.*|"+p.tableEndpoint(by, sockets)+"|") + " " + quote(file) + " && "
		}
	default:
		return nil
	}
	return []Finding{broken(sendingCheck, file+wrong, fix+p.command("postfix")+" reload")}
}

// tableChecks look at our table, and at those before and after it.
func (p *Postfix) tableChecks(by service, s *Sending) (all []Finding) {
	list := p.value(by, policyMaps)
	tables := postconf.List(list)
	at := p.ourTable(by, tables, s.Sockets)
	if at < 0 {
		return []Finding{p.notAsked(by, s)}
	}
	table, isProxy := strings.CutPrefix(tables[at], "proxy:")
	if isProxy {
		all = append(all, note(sendingCheck, "our table is behind proxy: which process asks is not known, so that less is learned",
			p.set(by, policyMaps, strings.Replace(list, tables[at], table, 1))))
	}
	if strings.HasPrefix(table, "socketmap:") {
		all = append(all, note(sendingCheck, "our table is socketmap: when the daemon is down, mail is deferred", ""))
	}
	if strings.Contains(table, "unix:/") && p.chrooted(by) {
		all = append(all, broken(sendingCheck, "smtp(8) runs chrooted and can't see the absolute path in "+table, ""))
	}
	if at < len(tables)-1 {
		all = append(all, note(sendingCheck, "tables come after ours: DANE, MTA-STS and your own table belong before it", ""))
	}
	for _, t := range tables[:at] {
		if keys := parentKeys(t); len(keys) > 0 {
			all = append(all, note(sendingCheck, fmt.Sprintf("%s has keys for parent domains (%s): Postfix asks us for the exact domain first, so that our answer beats them. List the domains in [[send]] rows with exempt = true",
				t, strings.Join(keys[:min(len(keys), 3)], ", ")), ""))
		}
	}
	if file, ok := strings.CutPrefix(table, "memcache:"); ok {
		all = append(all, p.fileCheck(by, file, s.Sockets)...)
	}
	return all
}

// parentKeys returns the keys with a leading dot in the source of a table that is
// a file.
func parentKeys(table string) (keys []string) {
	_, path, ok := strings.Cut(strings.TrimPrefix(table, "proxy:"), ":")
	if !ok || !filepath.IsAbs(path) {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil // a table that is not read from this path
	}
	for line := range strings.Lines(string(text)) {
		if key := strings.Fields(line); len(key) > 1 && strings.HasPrefix(key[0], ".") {
			keys = append(keys, key[0])
		}
	}
	return keys
}
