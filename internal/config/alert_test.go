package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/config"
)

func TestDestinations(t *testing.T) {
	c := load(t, `
[alert]
log = "off"
per_hour = 60

[[destination]]
kind = "webhook"
url = "file:/etc/tlsratchet//slack.url"
secret = "env:HOOK_KEY"
token = "file:/run/token"
body = "/etc/tlsratchet/slack.json.tmpl"

[[destination]]
kind = "alertmanager"
least = "info"
url = "http://127.0.0.1:9093"

[[destination]]
kind = "mail"
least = "critical"
to = ["Ann@Here.Example.", "bob+x@here.example"]
from = "ratchet@here.example"
`)
	want := []alert.Settings{
		{Kind: "webhook", Least: "warning", URL: "file:/etc/tlsratchet/slack.url", Secret: "env:HOOK_KEY", Token: "file:/run/token", Body: "/etc/tlsratchet/slack.json.tmpl"},
		{Kind: "alertmanager", Least: "info", URL: "http://127.0.0.1:9093"},
		{Kind: "mail", Least: "critical", Server: "127.0.0.1:25", To: []string{"Ann@here.example", "bob+x@here.example"}, From: "ratchet@here.example"},
	}
	if diff := cmp.Diff(want, c.Destinations); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if c.Alert != (config.Alert{Log: config.Off, PerHour: 60}) {
		t.Errorf("got %+v", c.Alert)
	}
	again := load(t, text(t, c))
	if diff := cmp.Diff(c.Destinations, again.Destinations); diff != "" {
		t.Errorf("written and loaded (-want +got):\n%s", diff)
	}
}

func TestBadDestinations(t *testing.T) {
	const asURL = "want a URL that begins with https:// or http://, or \"file:/path\" or \"env:NAME\" that holds it"
	const secret = "this URL may hold a secret: put it into a file or a variable, and write \"file:/path\" or \"env:NAME\""
	const reference = "secrets don't belong in this file: use \"file:/path\" or \"env:NAME\""
	for _, tc := range []struct{ row, want string }{
		{"", `2: destination: has no kind: add kind = "webhook", "alertmanager" or "mail"`},
		{"kind = 'pigeon'", `3: destination.kind: unknown value "pigeon": use webhook, alertmanager, mail`},
		{"kind = 'webhook'", "2: destination: a destination of kind webhook needs url"},
		{"kind = 'mail'", "2: destination: a destination of kind mail needs to"},
		{"kind = 'mail'\nto = []", "4: destination.to: the list is empty: want 1 at least"},
		{"kind = 'mail'\nto = ['a@b.example']\nurl = 'https://x.example'", "5: destination.url: a destination of kind mail has none: leave it out"},
		{"kind = 'alertmanager'\nurl = 'http://x'\nbody = '/x'", "5: destination.body: a destination of kind alertmanager has none: leave it out"},
		{"kind = 'webhook'\nurl = 'http://x'\nleast = 'loud'", `5: destination.least: unknown value "loud": use info, warning, critical`},
		{"url = 'ftp://x.example'", "3: destination.url: " + asURL},
		{"url = 'https://'", "3: destination.url: " + asURL},
		{"url = 's3cr3t'", "3: destination.url: " + asURL},
		{"url = 'https://u:s3cr3t@x.example/'", "3: destination.url: " + secret},
		{"url = 'https://x.example/?key=s3cr3t'", "3: destination.url: " + secret},
		{"url = 'https://hooks.slack.com/services/T0/B0/s3cr3t'", "3: destination.url: " + secret},
		{"url = 'env:s3-cr3t'", "3: destination.url: " + reference},
		{"secret = 's3cr3t'", "3: destination.secret: " + reference},
		{"token = 'file:s3cr3t'", `3: destination.token: path "s3cr3t": want an absolute path of a file`},
		{"server = '25'", `3: destination.server: unknown address "25": use host:port, as 127.0.0.1:25`},
		{"to = ['a@b.example', 'a@b.example']", "3: destination.to: a@b.example is listed twice: leave one out"},
		{"from = 'a b@c.example'", `3: destination.from: unknown address "a b@c.example": want local@domain in ASCII, without quotes`},
		{"from = 'a@c_.-x'", `3: destination.from: address "a@c_.-x": "c_.-x" is no domain: want labels of letters, digits and hyphens, as in bank.example`},
		{"domain = 'x'", "3: destination.domain: unknown key: use kind, least, url, secret, token, body, server, to, from"},
	} {
		check(t, "\n[[destination]]\n"+tc.row+"\n", tc.want)
	}
	check(t, "destination = 3\n", "1: destination: want rows that begin with [[destination]], got 3")
	check(t, "[alert]\nlog = 'loud'\n", `2: alert.log: unknown value "loud": use info, warning, critical, off`)
	check(t, "[alert]\nper_hour = 0\n", "2: alert.per_hour: want a whole number from 1 to 1000, got 0")
}

// TestNoSecretIsShown by errors, where somebody wrote one into the file.
func TestNoSecretIsShown(t *testing.T) {
	for _, key := range []string{"url", "secret", "token"} {
		for _, value := range []string{"s3cr3t", "https://x.example/hooks/s3cr3t", "https://s3cr3t@x.example", "env:s3-cr3t"} {
			_, err := config.Load(write(t, "[[destination]]\nkind = 'webhook'\n"+key+" = '"+value+"'\n"), nil, config.Flags{})
			if err == nil || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s = %s: %v", key, value, err)
			}
		}
	}
}
