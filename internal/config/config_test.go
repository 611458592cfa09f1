package config_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/config"
	"tlsratchet/internal/inbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/selfcheck"
	"tlsratchet/milter/wire"
	"tlsratchet/tlsstate"
)

// same compares configurations by what they say.
var same = cmp.Options{cmpopts.IgnoreUnexported(config.Config{}), cmpopts.EquateComparable(netip.Prefix{}, netip.AddrPort{})}

// write puts a file into a folder of the test, and goes there, so that errors
// name it as tlsratchet.toml.
func write(t *testing.T, content string) string {
	t.Helper()
	t.Chdir(t.TempDir())
	const name = "tlsratchet.toml"
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func load(t *testing.T, content string) *config.Config {
	t.Helper()
	c, err := config.Load(write(t, content), nil, config.Flags{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func vars(m map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func text(t *testing.T, c *config.Config) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestNoFileIsTheDefaults(t *testing.T) {
	got, err := config.Load("", nil, config.Flags{})
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Config{
		Listen:         []wire.Spec{{Network: wire.NetworkUnix, Address: "/var/spool/postfix/tlsratchet/tlsratchet.sock"}},
		History:        "/var/lib/tlsratchet/history.db",
		ExemptNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		JudgeNetworks:  []netip.Prefix{},
		PolicyService:  config.PolicyService{Listen: []wire.Spec{}},
		PlainListeners: []string{},
		Options:        inbound.Options{ExemptRecipients: []string{"postmaster", "abuse"}},
		Socket:         config.Socket{Mode: 0o660},
		Log:            config.Log{Format: config.LogText, Level: slog.LevelInfo},
		Limits: config.Limits{
			Connections: 4096, Idle: 9 * time.Hour, Drain: 5 * time.Second, Read: 250 * time.Millisecond, Cache: 50_000, Identities: 2_000_000,
		},
		Policy:    tlsstate.DefaultPolicy(),
		Shared:    config.Shared{Timeout: 50 * time.Millisecond},
		Selfcheck: selfcheck.Options{Address: "127.0.0.1:25", Every: 3 * time.Minute},
		Status:    config.Status{Listen: "127.0.0.1:19125", Names: []string{}},
		Alert:     config.Alert{Log: config.Off, PerHour: 20},
		Breaker:   ratchet.BreakerOptions{Domains: 10, Window: 10 * time.Minute, PinDays: 7},
		SPF:       config.SPF{On: true, Timeout: 2 * time.Second},
		Outbound: config.Outbound{
			Listen: []wire.Spec{{Network: config.Beside}}, Log: config.Journal, Action: config.Observe,
			Postfix: []string{"/etc/postfix"}, Least: tlsstate.TLS12,
		},
	}
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(tlsstate.DefaultPolicy(), *got.Rules().Default()); diff != "" {
		t.Errorf("the rules' base policy:\n%s", diff)
	}
	if got.InMemory() {
		t.Error("the default history is a file")
	}
}

// TestEveryKey sets each key to something that is not its default.
func TestEveryKey(t *testing.T) {
	got := load(t, everything)
	tempfail := tlsstate.Tempfail
	want := &config.Config{
		Listen: []wire.Spec{
			{Network: wire.NetworkUnix, Address: "/run/a b/milter.sock"},
			{Network: wire.NetworkTCP, Address: "127.0.0.1:8891"},
			{Network: wire.NetworkTCP, Address: "[::1]:8891"},
			{Network: wire.NetworkTCP, Address: "mail.example:8891"},
			{Network: wire.NetworkSystemd},
		},
		History:        config.Memory,
		ExemptNetworks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
		JudgeNetworks:  []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24")},
		PolicyService:  config.PolicyService{Listen: []wire.Spec{{Network: wire.NetworkUnix, Address: "/run/policy.sock"}}},
		PlainListeners: []string{"10025"},
		Options: inbound.Options{
			HeaderAll: true, ExemptRecipients: []string{"help", "jörg@bank.example"}, Contact: `https://bank.example/"100%"\tls`,
		},
		Socket: config.Socket{Mode: 0o600, Group: "postfix"},
		Log:    config.Log{Format: config.LogJSON, Level: slog.LevelDebug},
		Limits: config.Limits{
			Connections: 1, Idle: time.Minute, Drain: 0, Read: 10 * time.Millisecond, Cache: 100, Identities: 1000,
		},
		Policy: tlsstate.Policy{
			PinAfterDays: 1, PinMaxAgeDays: 2, ReleaseAfterDays: 4, RelaxAfterDays: 5,
			PinUpTo: tlsstate.TLS13, DomainEnforce: tlsstate.EnforceNever,
			Stripped: tlsstate.Reject, Weakened: tlsstate.Quarantine, Unauthenticated: tlsstate.Tempfail,
		},
		Breaker: ratchet.BreakerOptions{Domains: 20, Window: time.Hour, PinDays: 14},
		Outbound: config.Outbound{
			Listen: []wire.Spec{{Network: wire.NetworkUnix, Address: "/run/p.sock"}, {Network: wire.NetworkTCP, Address: "127.0.0.1:8892"}},
			Log:    "/var/log/mail.log", Action: config.Hold, ReleaseOnOutage: true, Postfix: []string{"/etc/postfix-out"},
			Least: tlsstate.TLS13, PinAfterDays: 6, PinMaxAgeDays: 7, ReleaseAfterDays: 8, RelaxAfterDays: 9,
		},
		Sends: []tlsstate.Row{{Domain: "bank.example", Subdomains: true, Action: &tempfail, Least: tlsstate.TLS12}, {Domain: "old.example", Exempt: true}},
		Admin: config.Admin{Socket: "/run/a.sock", Group: "mail"},
		Shared: config.Shared{
			URL: "valkeys://mx@valkey.example:6379/1", PasswordFile: "/etc/tlsratchet/password",
			RootsFile: "/etc/tlsratchet/ca.pem", Timeout: 20 * time.Millisecond, Insecure: true,
		},
		Selfcheck: selfcheck.Options{Address: "[::1]:25", Every: 10 * time.Second},
		Status:    config.Status{Listen: config.Off, Names: []string{"mail.example"}},
		Alert:     config.Alert{Log: "critical", PerHour: 1},
		Destinations: []alert.Settings{
			{Kind: alert.KindWebhook, Least: "info", URL: "env:HOOK", Secret: "file:/key", Token: "env:TOKEN", Body: "/slack.json"},
			{Kind: alert.KindMail, Least: "warning", Server: "[::1]:25", To: []string{"ann@here.example"}, From: "ratchet@here.example"},
		},
		SPF: config.SPF{Resolver: netip.MustParseAddrPort("[::1]:5353"), Timeout: 100 * time.Millisecond},
		Peers: []tlsstate.Row{
			{Domain: "xn--bnk-qla.example", Subdomains: true, Action: &tempfail, Least: tlsstate.TLS12},
			{Domain: "host", Exempt: true},
			{Network: netip.MustParsePrefix("192.0.2.0/24"), Least: tlsstate.Weak},
		},
	}
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !got.InMemory() {
		t.Error("the history is in memory")
	}
	p := got.Rules().For(netip.Addr{}, "mx.xn--bnk-qla.example")
	if !p.Peer || p.Stripped != tlsstate.Tempfail || p.Least != tlsstate.TLS12 || p.PinAfterDays != 1 {
		t.Errorf("the rules don't know the row: %+v", *p)
	}
}

const everything = `
listen = ["unix:/run//a b/./milter.sock", "inet:127.0.0.1:8891", "inet:[0::1]:08891", "inet:Mail.example.:8891", "systemd"]
history = "memory"
header = "all"
exempt_networks = ["10.0.0.0/8", "fd00::/8"]
judge_networks = ["192.168.7.0/24"]
plain_listeners = ["10025"]
exempt_recipients = ["Help", "Jörg@Bank.Example"]
spf = "off"
shared = "valkeys://mx@valkey.example:6379/1"
shared_password_file = "/etc/tlsratchet/password"
shared_roots_file = "/etc/tlsratchet/ca.pem"
shared_milliseconds = 20
shared_insecure = true
socket = { mode = "600", group = "postfix" } # a table may be written like this
reply.contact = 'https://bank.example/"100%"\tls' # or like this
[log]
format = "json"
level = "debug"
[limits]
connections = 1
idle_seconds = 60
drain_seconds = 0
read_milliseconds = 10
cache = 100
identities = 1000
[policy]
stripped = "reject"
weakened = "quarantine"
unauthenticated = "tempfail"
pin_after_days = 1
pin_max_age_days = 2
release_after_days = 4
relax_after_days = 5
pin_up_to = "tlsv1.3"
domain_enforce = "never"
[policy_service]
listen = ["unix:/run/policy.sock"]

[outbound]
listen = ["unix:/run/p.sock", "inet:127.0.0.1:8892"]
log = "/var/log/mail.log"
action = "hold"
on_outage = "release"
postfix = ["/etc/postfix-out"]
least = "TLSv1.3"
pin_after_days = 6
pin_max_age_days = 7
release_after_days = 8
relax_after_days = 9
[breaker]
domains = 20
window_seconds = 3600
pin_days = 14
[admin]
socket = "/run//a.sock"
group = "mail"
[selfcheck]
address = "[0::1]:025"
every_seconds = 10
[status]
listen = "off"
names = ["Mail.example."]
[dns]
resolver = "[0::1]:5353"
timeout_milliseconds = 100
[alert]
log = "critical"
per_hour = 1
[[send]]
domain = "bank.example"
subdomains = true
action = "hold"
least = "TLSv1.2"
[[send]]
domain = "old.example"
exempt = true
[[destination]]
kind = "webhook"
least = "info"
url = "env:HOOK"
secret = "file:/key"
token = "env:TOKEN"
body = "/slack.json"
[[destination]]
kind = "mail"
server = "[0::1]:025"
to = ["ann@here.example"]
from = "ratchet@Here.example"
[[peer]]
domain = "XN--BNK-QLA.example."
subdomains = true
action = "tempfail"
least = "TLSv1.2"
exempt = false
[[peer]]
domain = "host"
exempt = true
[[peer]]
network = "192.0.2.0/24"
least = "weak"
`

func TestWrite(t *testing.T) {
	want, err := os.ReadFile("testdata/effective.toml")
	if err != nil {
		t.Fatal(err)
	}
	c := load(t, everything)
	if diff := cmp.Diff(string(want), text(t, c)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(c, load(t, string(want)), same); diff != "" {
		t.Errorf("loaded back:\n%s", diff)
	}
	if err := c.Write(broken{}); !errors.Is(err, errBroken) {
		t.Errorf("Write to a broken pipe: %v", err)
	}
}

type broken struct{}

var errBroken = errors.New("broken pipe")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestLayers(t *testing.T) {
	file := write(t, "history = '/srv/file.db'\n[policy]\nstripped = 'observe'\npin_after_days = 9\nweakened = 'reject'\n")
	env := vars(map[string]string{
		"TLSRATCHET_LISTEN":                "unix:/a.sock, inet:127.0.0.1:1",
		"TLSRATCHET_HISTORY":               "/srv/env.db",
		"TLSRATCHET_POLICY_STRIPPED":       "tempfail",
		"TLSRATCHET_POLICY_PIN_AFTER_DAYS": "8",
		"TLSRATCHET_LIMITS_DRAIN_SECONDS":  "0",
		"TLSRATCHET_LOG_LEVEL":             "warn",
		"TLSRATCHET_EXEMPT_NETWORKS":       "",
		"TLSRATCHET_EXEMPT_RECIPIENTS":     " ",
	})
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	action, history, memory, days := "reject", "trial.db", "memory", "7"
	type view struct {
		Listen, Networks, Recipients int
		History, Stripped            string
		PinAfterDays                 int
	}
	for _, tc := range []struct {
		name  string
		path  string
		env   func(string) (string, bool)
		flags config.Flags
		want  view
	}{
		{"defaults", "", nil, config.Flags{}, view{1, 2, 2, "/var/lib/tlsratchet/history.db", "header", 5}},
		{"file", file, nil, config.Flags{}, view{1, 2, 2, "/srv/file.db", "observe", 9}},
		{"variables over the file", file, env, config.Flags{}, view{2, 0, 0, "/srv/env.db", "tempfail", 8}},
		{"variables alone", "", env, config.Flags{}, view{2, 0, 0, "/srv/env.db", "tempfail", 8}},
		{"flags over all", file, env,
			config.Flags{"listen": "systemd", "history": history, "action": action, "pin-after-days": days},
			view{1, 0, 0, filepath.Join(here, "trial.db"), "reject", 7}},
		{"in memory", file, nil, config.Flags{"history": memory}, view{1, 2, 2, "memory", "observe", 9}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := config.Load(tc.path, tc.env, tc.flags)
			if err != nil {
				t.Fatal(err)
			}
			got := view{len(c.Listen), len(c.ExemptNetworks), len(c.ExemptRecipients), c.History, c.Policy.Stripped.String(), c.Policy.PinAfterDays}
			if got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if r := c.Rules().Default(); r.Stripped != c.Policy.Stripped || r.PinAfterDays != c.Policy.PinAfterDays {
				t.Errorf("the rules are of an earlier layer: %+v", *r)
			}
		})
	}
}

// TestByteOrderMark: editors begin files with one.
func TestByteOrderMark(t *testing.T) {
	if c := load(t, "\ufeffheader = 'all'\n"); !c.HeaderAll {
		t.Error("header")
	}
	check(t, "\ufeff\nlisten = 3\n", "2: listen: want a list of strings, got 3")
}

// TestAt: an error of a key names what sets it.
func TestAt(t *testing.T) {
	file := write(t, "[admin]\n\ngroup = 'a'\n[socket]\nmode = '0600'\n")
	c, err := config.Load(file, vars(map[string]string{"TLSRATCHET_SOCKET_MODE": "0660"}), config.Flags{"listen": "systemd"})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"admin.group": "tlsratchet.toml:3: admin.group: x", "admin.socket": "tlsratchet.toml:1: admin.socket: x",
		"socket.mode": "TLSRATCHET_SOCKET_MODE: x", "listen": "--listen: x", "history": "history: x",
	} {
		if got := c.At(key, errBroken); strings.Replace(got.Error(), "broken pipe", "x", 1) != want || !errors.Is(got, errBroken) {
			t.Errorf("%s: %v, want %s", key, got, want)
		}
	}
}

func TestMissingFile(t *testing.T) {
	_, err := config.Load("/nonexistent/tlsratchet.toml", nil, config.Flags{})
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "read the configuration: ") {
		t.Errorf("got %v", err)
	}
}

// TestLoadsAreApart holds that no configuration shares memory with the next.
func TestLoadsAreApart(t *testing.T) {
	a, b := load(t, ""), load(t, "")
	a.ExemptRecipients[0], a.Listen[0].Address, a.Policy.Stripped = "x", "x", tlsstate.Reject
	if diff := cmp.Diff(load(t, ""), b, same); diff != "" {
		t.Errorf("changed from elsewhere:\n%s", diff)
	}
	if a.Rules().Default().Stripped != tlsstate.Header {
		t.Error("the rules changed with the configuration")
	}
}

// The exempt networks are part of the rules; a row for the same network, or a
// longer prefix in it, goes first.
func TestExemptNetworksAreRules(t *testing.T) {
	c := load(t, `
exempt_networks = ["10.0.0.0/8", "192.0.2.0/24"]
[[peer]]
network = "10.1.0.0/16"
least = "TLSv1.2"
[[peer]]
network = "192.0.2.0/24"
action = "reject"
`)
	for addr, want := range map[string]bool{"10.2.0.1": true, "10.1.0.1": false, "192.0.2.1": false, "203.0.113.1": false} {
		if got := c.Rules().For(netip.MustParseAddr(addr), "").Exempt; got != want {
			t.Errorf("%s: exempt %v, want %v", addr, got, want)
		}
	}
}

func TestAdminSocket(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "/var/lib/tlsratchet/admin.sock",
		"history = '/srv/h.db'":   "/srv/admin.sock",
		"history = 'memory'":      "",
		"[admin]\nsocket = 'off'": "",
		"history = 'memory'\n[admin]\nsocket = '/a/b'": "/a/b",
	} {
		if got := load(t, text).AdminSocket(); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestPolicyFlags(t *testing.T) {
	c, err := config.Load("", nil, config.Flags{"relax-after-days": "9", "pin-up-to": "TLSv1.3", "domain-enforce": "never"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Policy.RelaxAfterDays != 9 || c.Policy.PinUpTo != tlsstate.TLS13 || c.Policy.DomainEnforce != tlsstate.EnforceNever {
		t.Errorf("%+v", c.Policy)
	}
	_, err = config.Load("", nil, config.Flags{"release-after-days": "0", "weakened": "frown"})
	want := "--release-after-days: want a whole number from 2 to 64, got 0\n--weakened: unknown action \"frown\": use observe, header, quarantine, tempfail, reject"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}
