package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/inbound"
)

// destinations reads the [[destination]] rows.
func (l *loader) destinations() {
	all, positions := rows(l, "destination", destinationSettings)
	for i, d := range all {
		if key, err := checkDestination(&d); err != nil {
			l.at(positions[i]+key, err)
			continue
		}
		d.Least = cmp.Or(d.Least, alert.Warning.String())
		if d.Kind == alert.KindMail {
			d.Server = cmp.Or(d.Server, "127.0.0.1:25")
		}
		l.config.Destinations = append(l.config.Destinations, d)
	}
}

// checkDestination returns what is wrong with the row as a whole, and with which key of
// it, as in ".url".
func checkDestination(d *alert.Settings) (key string, err error) {
	if d.Kind == "" {
		return "", fmt.Errorf("has no kind: add kind = %q, %q or %q", alert.KindWebhook, alert.KindAlertmanager, alert.KindMail)
	}
	mail, webhook := d.Kind == alert.KindMail, d.Kind == alert.KindWebhook
	for _, k := range []struct {
		key              string
		set, needed, has bool
	}{
		{"url", d.URL != "", !mail, !mail},
		{"to", len(d.To) > 0, mail, mail},
		{"secret", d.Secret != "", false, webhook},
		{"body", d.Body != "", false, webhook},
		{"token", d.Token != "", false, !mail},
		{"server", d.Server != "", false, mail},
		{"from", d.From != "", false, mail},
	} {
		switch {
		case k.needed && !k.set:
			return "", fmt.Errorf("a destination of kind %s needs %s", d.Kind, k.key)
		case k.set && !k.has:
			return "." + k.key, fmt.Errorf("a destination of kind %s has none: leave it out", d.Kind)
		}
	}
	return "", nil
}

// parseReference parses a reference to a secret. The error doesn't show what
// may be the secret itself.
func parseReference(s string) (string, error) {
	form, name, _ := strings.Cut(s, ":")
	switch form {
	case "file":
		file, err := parsePath(name)
		return "file:" + file, err
	case "env":
		if variable.MatchString(name) {
			return s, nil
		}
	}
	return "", errors.New("secrets don't belong in this file: use \"file:/path\" or \"env:NAME\"")
}

var variable = regexp.MustCompile(`^[A-Za-z0-9_]{1,255}$`)

// secretPaths are in the URLs of chats, which let in whoever knows them.
var secretPaths = []string{"/hooks/", "/webhooks/", "/services/", "/webhookb2/", "/workflows/"}

// parseAlertURL parses a URL without a secret in it, or a reference to one that
// has.
func parseAlertURL(s string) (string, error) {
	if strings.HasPrefix(s, "file:") || strings.HasPrefix(s, "env:") {
		return parseReference(s)
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !printable(s) || len(s) > 2000 {
		return "", errors.New("want a URL that begins with https:// or http://, or \"file:/path\" or \"env:NAME\" that holds it")
	}
	secret := u.User != nil || u.RawQuery != "" || u.Fragment != ""
	for _, p := range secretPaths {
		secret = secret || strings.Contains(u.Path+"/", p)
	}
	if secret {
		return "", errors.New("this URL may hold a secret: put it into a file or a variable, and write \"file:/path\" or \"env:NAME\"")
	}
	return s, nil
}

// parseMailbox parses an address as it stands in a header.
func parseMailbox(s string) (string, error) {
	local, domain := inbound.Cut(s)
	bad := !strings.Contains(s, "@") || local == "" || len(local) > 64 || !printable(local) || strings.ContainsAny(local, ` ()<>[]:;@\,"`)
	if bad {
		return "", fmt.Errorf("unknown address %s: want local@domain in ASCII, without quotes", shown(s))
	}
	domain, err := parseDomain(domain)
	if err != nil {
		return "", fmt.Errorf("address %s: %w", shown(s), err)
	}
	return local + "@" + domain, nil
}
