package contrib_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"tlsratchet/contrib"
)

// lines are the settings of a unit file, continuations and comments left out.
func lines(t *testing.T, name string) map[string][]string {
	t.Helper()
	b, err := contrib.Files.ReadFile("systemd/" + name)
	if err != nil {
		t.Fatal(err)
	}
	set := map[string][]string{}
	section := ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		key, value, found := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = line
		case !found || section == "" || strings.HasSuffix(line, `\`):
			t.Errorf("%s: %q", name, line)
		default:
			set[section+key] = append(set[section+key], value)
		}
	}
	return set
}

// The socket is where Postfix looks for it.
func TestSocketPath(t *testing.T) {
	text, err := fs.ReadFile(contrib.Files, "postfix/main.cf.tlsratchet")
	if err != nil {
		t.Fatal(err)
	}
	unit := lines(t, "tlsratchet.socket")
	listen := unit["[Socket]ListenStream"]
	table, err := fs.ReadFile(contrib.Files, "postfix/tlsratchet-policy.cf")
	policy, err1 := fs.ReadFile(contrib.Files, "postfix/main.cf.policy")
	if err := errors.Join(err, err1); err != nil || len(listen) != 3 {
		t.Fatalf("ListenStream: %q, %v", listen, err)
	}
	for i, want := range []string{"{ unix:%s,", "memcache = unix:%s\n", "check_policy_service { unix:%s,"} {
		path, inQueue := strings.CutPrefix(listen[i], "/var/spool/postfix/")
		if !inQueue || !strings.Contains(string(text)+string(table)+string(policy), fmt.Sprintf(want, path)) {
			t.Errorf("contrib/postfix doesn't name %s", listen[i])
		}
	}
	if unit["[Socket]SocketGroup"][0] != "postfix" || unit["[Socket]SocketMode"][0] != "0660" {
		t.Error("Postfix can't write to the socket")
	}
}

func TestService(t *testing.T) {
	unit := lines(t, "tlsratchet.service")
	for key, want := range map[string]string{
		"ExecStart":          "/usr/sbin/tlsratchet serve --listen systemd",
		"ExecReload":         "/bin/sh -c 'exec /usr/sbin/tlsratchet check >/dev/null'",
		"Type":               "notify",
		"StateDirectory":     "tlsratchet",
		"NoNewPrivileges":    "yes",
		"ProtectSystem":      "strict",
		"SystemCallFilter":   "@system-service",
		"RestrictNamespaces": "yes",
	} {
		if got := unit["[Service]"+key]; len(got) == 0 || got[0] != want {
			t.Errorf("%s=%q, want %q", key, got, want)
		}
	}
	if got := unit["[Unit]Requires"]; len(got) != 1 || got[0] != "tlsratchet.socket" {
		t.Errorf("Requires=%q", got)
	}
}
