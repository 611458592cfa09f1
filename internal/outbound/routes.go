package outbound

import (
	"context"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"tlsratchet/internal/postconf"
)

// routes are the parameters of an instance, by which mail finds the service of
// master.cf that sends it: in main.cf, and where master.cf overrides them.
type routes struct{ main, overrides map[string]string }

func readRoutes(ctx context.Context, dir string) (r routes, err error) {
	for option, all := range map[string]*map[string]string{"-x": &r.main, "-P": &r.overrides} {
		text, err := postconf.Ask(ctx, dir, option)
		if err != nil {
			return r, err
		}
		*all = postconf.Settings(text)
	}
	return r, postconf.Expand(ctx, dir, r.main, r.overrides)
}

// levels returns the TLS levels that forbid something, by where they stand.
func (r routes) levels() map[string]string {
	const level = "smtp_tls_security_level"
	levels := r.reached(level, func(is string) bool { return objection(is) != "" })
	switch {
	case r.main[level] != "":
	case strings.EqualFold(r.main["smtp_enforce_tls"], "yes"): // of Postfix 2.2
		levels[level] = "encrypt"
	case strings.EqualFold(r.main["smtp_use_tls"], "yes"):
		levels[level] = "may"
	}
	return levels
}

// reached returns the values of a parameter that are bad, by where they stand: in main.cf,
// or at a service of master.cf that may be sent mail to other sites.
func (r routes) reached(parameter string, bad func(value string) bool) map[string]string {
	found := map[string]string{parameter: r.main[parameter]}
	maps.Copy(found, r.overrides)
	maps.DeleteFunc(found, func(where, value string) bool {
		service, ok := strings.CutSuffix(where, "/unix/"+parameter)
		return !bad(value) || where != parameter && !(ok && r.reach(service))
	})
	return found
}

// list returns the items of lists, wherever they stand.
func (r routes) list(parameters ...string) (items []string) {
	for _, name := range parameters {
		items = append(items, postconf.List(r.main[name])...)
		for where, value := range r.overrides {
			if strings.HasSuffix(where, "/"+name) {
				items = append(items, postconf.List(value)...)
			}
		}
	}
	return items
}

// reach reports whether a service may be sent mail to other sites: it is what mail goes
// by where no table says otherwise, or is passed on by, or a table of transport(5) names
// it, or may name it because only Postfix can read it; or a FILTER of access(5) or
// header_checks(5) names it. A content filter is given mail that comes back: of it the
// third is not assumed.
func (r routes) reach(service string) bool {
	names := func(parameters ...string) bool {
		return slices.ContainsFunc(r.list(parameters...), func(v string) bool { return v == service || strings.HasPrefix(v, service+":") })
	}
	onward := slices.ContainsFunc(r.list("content_filter", "virtual_transport", "local_transport", "mailbox_transport", "fallback_transport", "best_mx_transport"), func(v string) bool {
		by, to, _ := strings.Cut(v, ":")
		_, err := DestinationOf(to)
		return by == service && (to == "" || err == nil)
	})
	if onward || names("default_transport", "relay_transport") {
		return true
	}
	// Of a host in brackets we are asked nothing that we answer.
	to := regexp.QuoteMeta(service) + `:([^\[]|$)`
	route, filter := regexp.MustCompile(`(?m)^[^#\n].*[\s:]`+to), regexp.MustCompile(`(?im)^[^#\n].*\sFILTER\s+`+to)
	if names("virtual_transport", "local_transport") { // transport(5) may change its host alone
		route = regexp.MustCompile(route.String() + `|^[^#\n].*\s:[^\[\s]`)
	}
	isFilter := names("content_filter")
	for _, table := range r.list("transport_maps", "sender_dependent_default_transport_maps", "mailbox_transport_maps", "fallback_transport_maps") {
		if found, readable := lineIn(table, route); found || !readable && !isFilter {
			return true
		}
	}
	for _, all := range []map[string]string{r.main, r.overrides} {
		for _, value := range all {
			if slices.ContainsFunc(textTable.FindAllString(value, -1), func(table string) bool {
				found, _ := lineIn(table, filter)
				return found
			}) {
				return true
			}
		}
	}
	return false
}

// textTable is a table that is a text, or made of the text with the same name
// (DATABASE_README).
var textTable = regexp.MustCompile(`\b(?:hash|btree|lmdb|cdb|dbm|sdbm|texthash|regexp|pcre|cidr):([^\s,{}]+)`)

// lineIn reports whether a table has a line, and whether its text can be read.
func lineIn(table string, line *regexp.Regexp) (found, readable bool) {
	path := textTable.FindStringSubmatch(table)
	if path == nil {
		return false, false
	}
	text, err := os.ReadFile(path[1])
	return line.Match(text), err == nil
}
