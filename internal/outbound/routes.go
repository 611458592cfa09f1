package outbound

import (
	"context"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"tlsratchet/internal/postconf"
)

// routes are the parameters of an instance, by which mail finds the service of
// master.cf that sends it: in main.cf, and where master.cf overrides them.
type routes struct{ main, overrides map[string]string }

func readRoutes(ctx context.Context, dir string) (r routes, err error) {
	for _, of := range []struct {
		option string
		all    *map[string]string
	}{{"-x", &r.main}, {"-Px", &r.overrides}} {
		text, err := postconf.Ask(ctx, dir, of.option)
		if err != nil {
			return r, err
		}
		*of.all = postconf.Settings(text)
	}
	return r, r.follow(ctx, dir)
}

// follow adds to what master.cf overrides what changes with it: parameters that name
// one in their values.
func (r routes) follow(ctx context.Context, dir string) error {
	options := make(map[string][]string) // of a service
	for key, value := range r.overrides {
		if name := path.Base(key); strings.HasSuffix(path.Dir(key), "/unix") {
			options[path.Dir(key)] = append(options[path.Dir(key)], "-o", name+"="+value)
		}
	}
	for service, args := range options {
		text, err := postconf.Ask(ctx, dir, append(args, "-x")...)
		if err != nil {
			return err
		}
		for name, value := range postconf.Settings(text) {
			if value != r.main[name] {
				r.overrides[service+"/"+name] = value
			}
		}
	}
	return nil
}

// levels returns the TLS levels by where they stand. One in master.cf is left out where
// it forbids nothing, or its service is sent no mail to other sites.
func (r routes) levels() map[string]string {
	const level = "smtp_tls_security_level"
	levels := map[string]string{level: r.main[level]}
	switch {
	case r.main[level] != "":
	case strings.EqualFold(r.main["smtp_enforce_tls"], "yes"): // of Postfix 2.2
		levels[level] = "encrypt"
	case strings.EqualFold(r.main["smtp_use_tls"], "yes"):
		levels[level] = "may"
	}
	for where, is := range r.overrides {
		if service, ok := strings.CutSuffix(where, "/unix/"+level); ok && objection(is) != "" && r.reach(service) {
			levels[where] = is
		}
	}
	return levels
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
// by where no table says otherwise, or a table of transport(5) names it, or may name it
// because only Postfix can read it; or a FILTER of access(5) or header_checks(5) names
// it. A content filter is given mail that comes back: of it the third is not assumed.
func (r routes) reach(service string) bool {
	names := func(parameters ...string) bool {
		return slices.ContainsFunc(r.list(parameters...), func(v string) bool { return v == service || strings.HasPrefix(v, service+":") })
	}
	if names("default_transport", "relay_transport") {
		return true
	}
	// Of a host in brackets we are asked nothing that we answer.
	to := regexp.QuoteMeta(service) + `:([^\[]|$)`
	route, filter := regexp.MustCompile(`(?m)^[^#\n].*[\s:]`+to), regexp.MustCompile(`(?im)^[^#\n].*\sFILTER\s+`+to)
	isFilter := names("content_filter")
	for _, table := range r.list("transport_maps", "sender_dependent_default_transport_maps") {
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
