package outbound

import (
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
	// Relays are the hosts of relayhost and smtp_fallback_relay: what goes by way
	// of them shows nothing of a recipient's domain. Fallbacks are the latter as
	// smtp(8) asks for them, in lower case.
	Relays, Fallbacks []string
}

// PermissionOf reads the settings of the Postfix instances with these
// configuration directories. Where they differ, the strictest counts; what can't
// be read allows nothing.
func PermissionOf(ctx context.Context, dirs []string) Permission {
	p := Permission{Allowed: true}
	for _, dir := range dirs {
		levels, relays, fallbacks, err := settingsOf(ctx, dir)
		if err != nil {
			p.Allowed, p.Unread, p.Reason = false, true, fmt.Sprintf("the settings in %s can't be read: %s", dir, clean.Text(err.Error(), 200))
			return p
		}
		p.Relays, p.Fallbacks = append(p.Relays, hostsOf(relays, fallbacks)...), append(p.Fallbacks, fallbacks...)
		for _, where := range slices.Sorted(maps.Keys(levels)) { // the same reason each time
			level := levels[where]
			if why := objection(level); why != "" && p.Allowed {
				p.Allowed, p.Reason = false, fmt.Sprintf("%s in %s is %s: %s", where, dir, level, why)
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
		return "TLS is switched off for sending: set smtp_tls_security_level = may"
	}
	return "this level is not known here"
}

// settingsOf returns the TLS levels of an instance by where they stand, and its
// relays, as they are written. A level in master.cf is left out where its service is
// sent no mail to other sites.
func settingsOf(ctx context.Context, dir string) (levels map[string]string, relays, fallbacks []string, err error) {
	const level = "smtp_tls_security_level"
	text, err := postconf.Ask(ctx, dir, append([]string{"-x", level, "relayhost", "smtp_fallback_relay", "smtp_use_tls", "smtp_enforce_tls"}, routing...)...)
	if err != nil {
		return nil, nil, nil, err
	}
	main := postconf.Settings(text)
	levels = map[string]string{level: main[level]}
	switch {
	case main[level] != "":
	case main["smtp_enforce_tls"] == "yes": // of Postfix 2.2
		levels[level] = "encrypt"
	case main["smtp_use_tls"] == "yes":
		levels[level] = "may"
	}
	if text, err = postconf.Ask(ctx, dir, "-Px"); err != nil {
		return nil, nil, nil, err
	}
	overrides := postconf.Settings(text)
	r := routesOf(main, overrides)
	for where, is := range overrides {
		if service, ok := strings.CutSuffix(where, "/unix/"+level); ok && r.reach(service) {
			levels[where] = is
		}
	}
	return levels, hops(main["relayhost"]), hops(main["smtp_fallback_relay"]), nil
}

// hops returns the next-hops of a list, in lower case.
func hops(list string) []string { return postconf.List(strings.ToLower(list)) }

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
