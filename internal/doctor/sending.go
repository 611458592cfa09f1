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
)

// Sending is the sending side of the daemon, as far as the checks need it.
type Sending struct {
	// Sockets are the paths on which Postfix may ask; none for switched off.
	Sockets []string
	// Hold reports whether mail is held.
	Hold bool
	// Forbidden, Fault and LastLine are the daemon's: why nothing can be held, why
	// Postfix's log can't be read, and when its newest line was written. They are
	// zero without a daemon.
	Forbidden, Fault string
	LastLine         time.Time
}

// sendingChecks look at how Postfix asks for destinations. Without our table in
// its list there is nothing to check, unless mail is to be held.
func (p *Postfix) sendingChecks(o Options) []Finding {
	const check = "sending"
	s := &o.Sending
	tables := split(p.main["smtp_tls_policy_maps"])
	at := slices.IndexFunc(tables, func(t string) bool {
		kind, name, _ := strings.Cut(strings.TrimPrefix(t, "proxy:"), ":")
		return (kind == "memcache" || kind == "socketmap") && strings.Contains(name, "tlsratchet")
	})
	var all []Finding
	switch {
	case len(s.Sockets) == 0 || at < 0 && !s.Hold:
		return nil
	case at < 0:
		all = append(all, broken(check, `outbound.action is "hold", and smtp_tls_policy_maps does not ask tlsratchet`,
			p.makeTable(p.main["config_directory"]+"/tlsratchet-policy.cf", s.Sockets)+p.postconf("smtp_tls_policy_maps = "+strings.TrimPrefix(p.raw["smtp_tls_policy_maps"]+", memcache:${config_directory}/tlsratchet-policy.cf", ", "))))
	default:
		all = p.tableChecks(tables, at)
		if file, ok := strings.CutPrefix(strings.TrimPrefix(tables[at], "proxy:"), "memcache:"); ok {
			if line := p.makeTable(file, s.Sockets); line != "" {
				all = append(all, broken(check, file+" does not exist: mail is deferred", line+strings.Join(append([]string{"postfix"}, p.base[1:]...), " ")+" reload"))
			}
		}
	}
	for _, want := range [][2]string{{"smtp_tls_loglevel", "1"}, {"smtp_tls_note_starttls_offer", "yes"}} {
		if p.main[want[0]] != want[1] && !(want[0] == "smtp_tls_loglevel" && p.main[want[0]] > "1") {
			all = append(all, broken(check, fmt.Sprintf("%s is %q: how mail was sent can't be learned", want[0], p.main[want[0]]), p.postconf(want[0]+" = "+want[1])))
		}
	}
	if s.Forbidden != "" {
		all = append(all, note(check, "nothing can be held: "+s.Forbidden, ""))
	}
	if p.main["relayhost"] != "" {
		all = append(all, note(check, "relayhost is set: mail that goes by way of it says nothing of its destination", ""))
	}
	switch {
	case s.Fault != "":
		all = append(all, broken(check, "Postfix's log can't be read: "+s.Fault, ""))
	case o.Running && s.LastLine.IsZero():
		all = append(all, note(check, "no line of Postfix's log was read yet: is outbound.log right?", ""))
	}
	if len(all) == 0 {
		text := "Postfix asks tlsratchet last, and works without it"
		if !s.LastLine.IsZero() {
			text += fmt.Sprintf("; the newest line of its log was read and is %s old", max(o.Now.Sub(s.LastLine), 0).Round(time.Second))
		}
		all = append(all, fine(check, text))
	}
	return all
}

// makeTable returns the beginning of a line that makes the file of our table, as
// in contrib/postfix; "" where it is there.
func (p *Postfix) makeTable(file string, sockets []string) string {
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	var paths []string
	for _, s := range sockets {
		if path, ok := strings.CutPrefix(s, "unix:"); ok {
			paths = append(paths, path)
		}
	}
	endpoint := "unix:tlsratchet/policy.sock"
	if len(paths) > 0 {
		endpoint = p.endpoint(paths)
	}
	return "printf '%s\\n' 'memcache = " + endpoint + "' 'timeout = 1' 'max_try = 1' 'backup = inline:{never.invalid=may}' >" + quote(file) + " && "
}

// tableChecks look at our table, and at those before and after it.
func (p *Postfix) tableChecks(tables []string, at int) (all []Finding) {
	const check = "sending"
	table := tables[at]
	if strings.HasPrefix(table, "proxy:") {
		all = append(all, note(check, "our table is behind proxy: which process asks is not known, so that less is learned",
			p.postconf("smtp_tls_policy_maps = "+strings.Replace(p.main["smtp_tls_policy_maps"], table, strings.TrimPrefix(table, "proxy:"), 1))))
	}
	if strings.HasPrefix(strings.TrimPrefix(table, "proxy:"), "socketmap:") {
		all = append(all, note(check, "our table is socketmap: when the daemon is down, mail is deferred", ""))
	}
	if strings.Contains(table, "unix:/") && p.smtpChrooted() {
		all = append(all, broken(check, "smtp(8) runs chrooted and can't see the absolute path in "+table, ""))
	}
	if at < len(tables)-1 {
		all = append(all, note(check, "tables come after ours: DANE, MTA-STS and your own table belong before it", ""))
	}
	for _, t := range tables[:at] {
		if keys := parentKeys(t); len(keys) > 0 {
			all = append(all, note(check, fmt.Sprintf("%s has keys for parent domains (%s): Postfix asks us for the exact domain first, so that our answer beats them. List the domains in [[send]] rows with exempt = true",
				t, strings.Join(keys[:min(len(keys), 3)], ", ")), ""))
		}
	}
	return all
}

func (p *Postfix) smtpChrooted() bool {
	return slices.ContainsFunc(p.services, func(s service) bool { return s.program == "smtp" && s.chroot })
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
