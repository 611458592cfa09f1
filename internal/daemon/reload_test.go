package daemon

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/config"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/test/mtatest"
	"tlsratchet/tlsstate"
)

// TestReloadKeys: a reload with another value of a key takes effect, as its probe
// shows, or the log states that the key needs a restart. Without a probe it is the
// latter.
func TestReloadKeys(t *testing.T) {
	rows := map[string]struct {
		value string
		probe func(*testing.T, *Daemon) string
	}{
		"listen":                      {"inet:127.0.0.1:1", nil},
		"history":                     {"/nowhere/history.db", nil},
		"header":                      {"all", message},
		"exempt_networks":             {"192.0.2.0/24", judged},
		"judge_networks":              {"10.7.0.0/16", judged},
		"plain_listeners":             {"24", nil},
		"exempt_recipients":           {"help", message},
		"spf":                         {"on", nil},
		"shared":                      {"valkey://127.0.0.1:1", nil},
		"shared_password_file":        {"/nowhere/password", nil},
		"shared_roots_file":           {"/nowhere/roots.pem", nil},
		"shared_milliseconds":         {"33", nil},
		"shared_insecure":             {"true", nil},
		"socket.mode":                 {"0666", nil},
		"socket.group":                {"12345", nil},
		"log.format":                  {"json", nil},
		"log.level":                   {"debug", logLevel},
		"limits.connections":          {"7", nil},
		"limits.idle_seconds":         {"77", nil},
		"limits.drain_seconds":        {"7", nil},
		"limits.read_milliseconds":    {"77", nil},
		"limits.cache":                {"777", nil},
		"limits.identities":           {"7777", nil},
		"reply.contact":               {"https://help.example", message},
		"policy.stripped":             {"reject", message},
		"policy.weakened":             {"tempfail", judged},
		"policy.unauthenticated":      {"tempfail", judged},
		"policy.pin_certificates":     {"key", judged},
		"policy.pin_after_days":       {"3", judged},
		"policy.pin_max_age_days":     {"300", judged},
		"policy.release_after_days":   {"9", judged},
		"policy.relax_after_days":     {"3", judged},
		"policy.pin_up_to":            {"TLSv1.3", judged},
		"policy.domain_enforce":       {"always", judged},
		"policy_service.listen":       {"inet:127.0.0.1:1", nil},
		"outbound.listen":             {"inet:127.0.0.1:1", nil},
		"outbound.log":                {"/nowhere/mail.log", nil},
		"outbound.action":             {"observe", sent},
		"outbound.on_outage":          {"release", sent},
		"outbound.postfix":            {"/dane", sent},
		"outbound.least":              {"TLSv1.3", sent},
		"outbound.pin_after_days":     {"3", sent},
		"outbound.pin_max_age_days":   {"300", sent},
		"outbound.release_after_days": {"9", sent},
		"outbound.relax_after_days":   {"3", sent},
		"breaker.domains":             {"7", nil},
		"breaker.window_seconds":      {"77", nil},
		"breaker.pin_days":            {"9", nil},
		"admin.socket":                {"/nowhere/admin.sock", nil},
		"admin.group":                 {"12345", nil},
		"selfcheck.address":           {"127.0.0.1:1", nil},
		"selfcheck.every_seconds":     {"77", nil},
		"status.listen":               {"127.0.0.1:1", nil},
		"status.names":                {"mx.example", nil},
		"dns.resolver":                {"127.0.0.1:1", nil},
		"dns.timeout_milliseconds":    {"777", nil},
		"alert.log":                   {"info", alerted},
		"alert.per_hour":              {"7", alerted},
		"[[peer]]\ndomain":            {"bank.example\"\nsubdomains = true\naction = \"reject", message},
		"[[send]]\ndomain":            {"bank.example\"\naction = \"observe", sent},
		"[[destination]]\nkind":       {"alertmanager\"\nurl = \"http://127.0.0.1:1", alerted},
	}
	for _, key := range keysOf(t) {
		if _, ok := rows[key]; !ok {
			t.Errorf("no row for %s", key)
		}
	}
	d, log, load := reloadable(t)
	for key, row := range rows {
		t.Run(key, func(t *testing.T) {
			d.Reload(load("", ""))
			before := ""
			if row.probe != nil {
				before = row.probe(t, d)
			}
			d.log.Error("changed now")
			log.until(t, "changed now")
			d.Reload(load(key, row.value))
			d.log.Error("the end")
			line := log.until(t, "configuration reloaded")
			for !strings.Contains(line, "the end") && !strings.Contains(line, "need a restart") {
				line = log.until(t, "")
			}
			restart := strings.Contains(line, "settings=["+key+"]")
			switch {
			case row.probe == nil && !restart:
				t.Errorf("takes no effect, and the log ends with %s", line)
			case row.probe != nil && row.probe(t, d) == before:
				t.Errorf("takes no effect: %s", before)
			case row.probe != nil && restart:
				t.Errorf("takes effect, and the log has %s", line)
			}
		})
	}
}

// keysOf returns all keys of the configuration but those of rows.
func keysOf(t *testing.T) (keys []string) {
	t.Helper()
	cfg, err := config.Load("", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := cfg.Write(&b); err != nil {
		t.Fatal(err)
	}
	table := ""
	for lines := bufio.NewScanner(strings.NewReader(b.String())); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "["); ok {
			table = strings.TrimSuffix(name, "]") + "."
		} else if key, _, ok := strings.Cut(lines.Text(), " = "); ok {
			keys = append(keys, table+key)
		}
	}
	return keys
}

// reloadable is a daemon that serves, and knows a peer and a destination of the name
// bank.example, which has failed since today. load returns its configuration with
// another value of a key.
func reloadable(t *testing.T) (d *Daemon, log lines, load func(key, value string) *config.Config) {
	t.Helper()
	folder := t.TempDir()
	postconf := "#!/bin/sh\n[ $2 = /dane ] && level=dane\necho smtp_tls_security_level = ${level-may}\n"
	if err := os.WriteFile(filepath.Join(folder, "postconf"), []byte(postconf), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	base := map[string]string{
		"history": filepath.Join(folder, "history.db"), "listen": "unix:" + filepath.Join(folder, "m.sock"), "spf": "off",
		"selfcheck.address": "off", "status.listen": "off", "policy.stripped": "tempfail", "outbound.action": "hold",
		"outbound.listen": "unix:" + filepath.Join(folder, "p.sock"), "outbound.log": "off", "outbound.postfix": "/may",
	}
	load = func(key, value string) *config.Config {
		t.Helper()
		env := maps.Clone(base)
		file := ""
		if strings.HasPrefix(key, "[") {
			file = filepath.Join(folder, "tlsratchet.toml")
			if err := os.WriteFile(file, []byte(key+` = "`+value+`"`), 0o600); err != nil {
				t.Fatal(err)
			}
		} else if key != "" {
			env[key] = value
		}
		cfg, err := config.Load(file, func(name string) (string, bool) {
			for key, value := range env {
				if name == "TLSRATCHET_"+strings.ToUpper(strings.ReplaceAll(key, ".", "_")) {
					return value, true
				}
			}
			return "", false
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	d, log, stop := running(t, load("", ""))
	t.Cleanup(stop)
	<-d.sending.permitted
	today := tlsstate.DayOf(time.Now())
	rule := tlsstate.DefaultPolicy()
	for _, id := range []tlsstate.Identity{{Kind: tlsstate.Address, Name: "192.0.2.10"}, {Kind: tlsstate.Domain, Name: "bank.example"}, {Kind: tlsstate.Destination, Name: "bank.example"}} {
		for ago := tlsstate.Day(20); ago > 0; ago-- {
			o := tlsstate.Observation{Day: today - ago, Security: tlsstate.Security{Level: tlsstate.TLS12}}
			if _, err := d.histories.Update(id, netip.Addr{}, today, func(h tlsstate.History) tlsstate.History {
				_, after := tlsstate.Judge(h, o, &rule)
				return after
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	failing := map[string]map[string]time.Time{}
	for n := range 20 {
		failing[fmt.Sprintf("n%d.example", n)] = map[string]time.Time{"at": time.Now()}
	}
	state, err := json.Marshal(map[string]any{"since": time.Now(), "failing": failing})
	if err != nil {
		t.Fatal(err)
	}
	var outage outbound.OutageState
	if err := json.Unmarshal(state, &outage); err != nil {
		t.Fatal(err)
	}
	d.sending.out.Restore(outbound.State{Outage: outage})
	return d, log, load
}

// message is what becomes of one in clear, and of one with TLS.
func message(t *testing.T, d *Daemon) string {
	t.Helper()
	var all []string
	for _, tls := range []string{"", "TLSv1.3"} {
		macros := map[string]string{
			"{client_addr}": "192.0.2.10", "{client_name}": "mx1.bank.example", "{client_resolve}": "OK",
			"{daemon_addr}": "198.51.100.1", "{daemon_port}": "25", "i": "4Q1",
		}
		if tls != "" {
			macros["{tls_version}"], macros["{cipher}"] = tls, "TLS_AES_256_GCM_SHA384"
		}
		s, err := mtatest.Dial(t.Context(), "unix", d.atStart.Listen[0].Address, mtatest.Options{Macros: macros, Addr: "192.0.2.10"})
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Message(mtatest.Message{From: "a@bank.example", Rcpts: []string{"help@here.example"}})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(r.Replies, r.Edits))
		s.Close()
	}
	return strings.Join(all, "\n")
}

// judged is the policy for a peer, and what becomes of one in a private network.
func judged(t *testing.T, d *Daemon) (all string) {
	t.Helper()
	for _, addr := range []string{"192.0.2.10", "10.7.0.1"} {
		p, err := peer.Identify(peer.Client{Addr: addr, DaemonPort: "25"})
		if err != nil {
			t.Fatal(err)
		}
		e, err := d.ratchet.Explain(&ratchet.Session{At: time.Now(), Peer: p})
		if err != nil {
			t.Fatal(err)
		}
		all += fmt.Sprintf("%+v %s\n", e.Policy, e.Decision.Outcome)
	}
	return all
}

// sent is what Postfix is answered about a destination.
func sent(t *testing.T, d *Daemon) string {
	t.Helper()
	e, err := d.sending.Explain("bank.example")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%+v %+v", e, *d.rulesFor(tlsstate.Destination).Default())
}

func logLevel(t *testing.T, d *Daemon) string {
	return fmt.Sprint(d.log.Enabled(t.Context(), slog.LevelDebug))
}

// alerted is where alerts go, and how many one by one.
func alerted(_ *testing.T, d *Daemon) string {
	alerts := reflect.ValueOf(d.watch.alerts).Elem()
	return fmt.Sprint(alerts.FieldByName("known"), alerts.FieldByName("incidents").Elem().FieldByName("limit"))
}
