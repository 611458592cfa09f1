package outbound

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/postconf"
)

// Permission is what the settings of Postfix allow us to answer, so that no
// delivery is weaker than without us. The zero value allows nothing.
type Permission struct {
	// Allowed reports whether "encrypt" may be answered.
	Allowed bool
	// Reason is why not, in words.
	Reason string
	// Unread: it is that the settings can't be read.
	Unread bool
	// Unlogged is where smtp_tls_loglevel is 0 for mail to other sites, so that
	// deliveries look as if in clear; "" for nowhere.
	Unlogged string
	// Unquoted: an address in the log may hold any text.
	Unquoted bool
	// Relays are the hosts of relayhost and smtp_fallback_relay, and ourselves, in the
	// log of another host: what goes by way of them shows nothing of a recipient's
	// domain. Fallbacks are those of smtp_fallback_relay as smtp(8) asks for them.
	Relays, Fallbacks []string
}

// PermissionOf reads the settings of the Postfix instances with these
// configuration directories. Where they differ, the strictest counts; what can't
// be read allows nothing.
func PermissionOf(ctx context.Context, dirs []string) Permission {
	p := Permission{Allowed: true}
	for _, dir := range dirs {
		r, err := readRoutes(ctx, dir)
		if err != nil {
			p.Allowed, p.Unread, p.Reason = false, true, fmt.Sprintf("the settings in %s can't be read: %s", dir, clean.Text(err.Error(), 200))
			return p
		}
		fallbacks := hops(r.list("smtp_fallback_relay")...)
		p.Relays, p.Fallbacks = append(p.Relays, hostsOf(hops(r.list("relayhost", "myhostname")...), fallbacks)...), append(p.Fallbacks, fallbacks...)
		for where := range r.reached("smtp_tls_loglevel", func(n string) bool { return n == "0" }) {
			p.Unlogged = max(p.Unlogged, where+" in "+dir) // the same each time
		}
		quoted := r.list("info_log_address_format") // none before Postfix 3.5
		p.Unquoted = p.Unquoted || len(quoted) == 0 || slices.Contains(quoted, "internal")
		levels := r.levels()
		for _, where := range slices.Sorted(maps.Keys(levels)) { // the same reason each time
			if why := objection(levels[where]); why != "" && p.Allowed {
				p.Allowed, p.Reason = false, fmt.Sprintf("%s in %s is %s: %s", where, dir, cmp.Or(levels[where], "empty"), why)
			}
		}
	}
	return p
}

// objection returns why nothing may be answered at a security level of smtp(8),
// or "".
func objection(level string) string {
	switch level {
	case "may":
		return ""
	case "dane", "dane-only", "half-dane":
		return `an answer "encrypt" would switch DANE off for the destination`
	case "encrypt", "fingerprint", "verify", "secure":
		return "there is nothing to add"
	case "none", "":
		return "TLS is switched off for sending; set smtp_tls_security_level = may, and reload Postfix and tlsratchet"
	}
	return "this level is not known here"
}

// hops returns the next-hops of lists, in lower case.
func hops(lists ...string) []string { return postconf.List(strings.ToLower(strings.Join(lists, " "))) }

// hostsOf returns the hosts of lists of "[host]:port" or "host:port".
func hostsOf(lists ...[]string) (hosts []string) {
	for _, hop := range slices.Concat(lists...) {
		end := ":"
		host, inBrackets := strings.CutPrefix(hop, "[")
		if inBrackets {
			end = "]"
		}
		host, _, _ = strings.Cut(host, end)
		hosts = append(hosts, strings.TrimPrefix(host, "ipv6:"))
	}
	return hosts
}
