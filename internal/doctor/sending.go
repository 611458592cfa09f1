package doctor

import (
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
	// Sockets are the paths on which Postfix may ask; none for switched off.
	Sockets []string
	// Hold reports whether mail is held.
	Hold bool
	// Overview is the daemon's; the zero one without a daemon.
	outbound.Overview
}

const policyMaps, sendingCheck = "smtp_tls_policy_maps", "sending"

// ourTable returns where our table stands in a list of them, or -1.
func ourTable(tables []string) int {
	return slices.IndexFunc(tables, func(t string) bool {
		kind, name, _ := strings.Cut(strings.TrimPrefix(t, "proxy:"), ":")
		return (kind == "memcache" || kind == "socketmap") && strings.Contains(name, "tlsratchet")
	})
}

// sendingChecks look at how Postfix asks for destinations: by main.cf, and by each
// smtp(8) service that overrides it. Where nothing asks there is nothing to check,
// unless mail is to be held.
func (p *Postfix) sendingChecks(o Options) (all []Finding) {
	s := &o.Sending
	if len(s.Sockets) == 0 || !s.Hold && !p.asks() {
		return nil
	}
	for _, by := range p.senders() {
		for _, f := range p.senderChecks(by, s) {
			f.Text = by.label() + f.Text
			all = append(all, f)
		}
	}
	all = unique(all)
	if s.Forbidden != "" {
		all = append(all, note(sendingCheck, "nothing can be held: "+s.Forbidden, ""))
	}
	if p.main["relayhost"] != "" {
		all = append(all, note(sendingCheck, "relayhost is set: mail that goes by way of it says nothing of its destination", ""))
	}
	if p.main["smtp_fallback_relay"] != "" {
		all = append(all, note(sendingCheck, "smtp_fallback_relay is set: mail that would wait goes to that host instead, which may send it in clear", ""))
	}
	switch {
	case s.Fault != "":
		all = append(all, broken(sendingCheck, "Postfix's log can't be read: "+s.Fault, ""))
	case o.Running && s.LastLine.IsZero():
		all = append(all, note(sendingCheck, "no line of Postfix's log was read yet: is outbound.log right?", ""))
	}
	if len(all) == 0 {
		text := "Postfix asks tlsratchet last, and works without it"
		if !s.LastLine.IsZero() {
			text += fmt.Sprintf("; the newest line of its log was read and is %s old", max(o.Now.Sub(s.LastLine), 0).Round(time.Second))
		}
		all = append(all, fine(sendingCheck, text))
	}
	return all
}

// asks reports whether any smtp(8) asks tlsratchet.
func (p *Postfix) asks() bool {
	return slices.ContainsFunc(p.senders(), func(by service) bool { return ourTable(postconf.List(p.value(by, policyMaps))) >= 0 })
}

// unixPaths returns the paths of the unix sockets.
func unixPaths(sockets []string) (paths []string) {
	for _, socket := range sockets {
		if path, ok := strings.CutPrefix(socket, "unix:"); ok {
			paths = append(paths, path)
		}
	}
	return paths
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
	fix := p.makeTable(p.main["config_directory"]+"/tlsratchet-policy.cf", s.Sockets) + p.set(by, policyMaps, list)
	if usual := (service{name: "smtp", kind: "unix"}); s.Hold && (by.name == usual.name || by.name == "" && !p.isOverridden(usual, policyMaps)) {
		return broken(sendingCheck, `outbound.action is "hold", and smtp_tls_policy_maps does not ask tlsratchet`, fix)
	}
	return note(sendingCheck, "smtp_tls_policy_maps does not ask tlsratchet: what is sent by it is not held", fix)
}

// makeTable returns the beginning of a line that makes the file of our table, as
// in contrib/postfix; "" where it is there.
func (p *Postfix) makeTable(file string, sockets []string) string {
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	endpoint := "unix:tlsratchet/policy.sock"
	if paths := unixPaths(sockets); len(paths) > 0 {
		endpoint = p.endpoint(paths)
	}
	return "printf '%s\\n' 'memcache = " + endpoint + "' 'timeout = 1' 'max_try = 1' 'backup = inline:{never.invalid=may}' >" + quote(file) + " && "
}

// tableChecks look at our table, and at those before and after it.
func (p *Postfix) tableChecks(by service, s *Sending) (all []Finding) {
	list := p.value(by, policyMaps)
	tables := postconf.List(list)
	at := ourTable(tables)
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
	chrooted := by.chroot || by == service{} && slices.ContainsFunc(p.senders(), func(s service) bool { return s.chroot })
	if strings.Contains(table, "unix:/") && chrooted {
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
		if line := p.makeTable(file, s.Sockets); line != "" {
			all = append(all, broken(sendingCheck, file+" does not exist: mail is deferred", line+p.command("postfix")+" reload"))
		}
	}
	return all
}

// parentKeys returns the keys with a leading dot in the source of a table that is
// a file.
func parentKeys(table string) (keys []string) {
	_, path, ok := strings.Cut(table, ":")
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
