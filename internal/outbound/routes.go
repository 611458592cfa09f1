package outbound

import (
	"os"
	"slices"
	"strings"

	"tlsratchet/internal/postconf"
)

// routes are the values of the parameters by which mail finds the service of
// master.cf that sends it, in main.cf and wherever master.cf overrides them.
type routes map[string][]string

// Mail to other sites goes by the first two, or by the tables of the next two
// (transport(5)). A content filter is given mail that comes back.
const (
	byDefault = "default_transport"
	byRelay   = "relay_transport"
	byTable   = "transport_maps"
	bySender  = "sender_dependent_default_transport_maps"
	byFilter  = "content_filter"
)

var routing = []string{byDefault, byRelay, byTable, bySender, byFilter}

func routesOf(main, overrides map[string]string) routes {
	r := make(routes)
	for _, name := range routing {
		r[name] = append(r[name], main[name])
		for where, value := range overrides {
			if strings.HasSuffix(where, "/"+name) {
				r[name] = append(r[name], value)
			}
		}
	}
	return r
}

// reach reports whether a service may be sent mail to other sites: it is what mail goes
// by where no table says otherwise, or a table names it, or may name it because only
// Postfix can read it. Of a content filter the last is not assumed.
func (r routes) reach(service string) bool {
	names := func(parameter string) bool {
		return slices.ContainsFunc(r[parameter], func(v string) bool { return v == service || strings.HasPrefix(v, service+":") })
	}
	if names(byDefault) || names(byRelay) {
		return true
	}
	isFilter := names(byFilter)
	for _, table := range postconf.List(strings.Join(slices.Concat(r[byTable], r[bySender]), " ")) {
		kind, path, _ := strings.Cut(strings.TrimPrefix(table, "proxy:"), ":")
		text, err := os.ReadFile(path)
		switch readable := err == nil && slices.Contains(textTables, kind); {
		case readable && hasRoute(string(text), service), !readable && !isFilter:
			return true
		}
	}
	return false
}

// textTables are the kinds of tables that are a text, or made of the text with the
// same name (DATABASE_README).
var textTables = []string{"hash", "btree", "lmdb", "cdb", "dbm", "sdbm", "texthash", "regexp", "pcre", "cidr"}

// hasRoute reports whether a line of a table that is no comment names a service.
func hasRoute(table, service string) bool {
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "#") && strings.Contains(line, service+":") {
			return true
		}
	}
	return false
}
