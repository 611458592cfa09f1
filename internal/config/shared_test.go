package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tlsratchet/internal/config"
)

func TestSharedServers(t *testing.T) {
	for _, url := range []string{
		"", "valkey://127.0.0.1:6379", "valkey://mx@valkey.example", "valkeys://valkey.example:6380/3",
		"redis://[2001:db8::25]:6379/", "rediss://h:1", "unix:///run/valkey/valkey.sock", "unix://mx@/run/v.sock?db=2",
		"valkey://a:1?addr=b:2&addr=c:3", "valkey://s1:26379?addr=s2:26379&master_set=mx",
	} {
		c, err := config.Load("", vars(map[string]string{"TLSRATCHET_SHARED": url, "TLSRATCHET_SHARED_INSECURE": "true"}), config.Flags{})
		if err != nil || c.Shared.URL != url {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// A server on another host, without TLS, must be asked for.
func TestSharedInClear(t *testing.T) {
	for url, ok := range map[string]bool{
		"valkey://127.0.0.1:6379": true, "valkey://localhost": true, "redis://[::1]:6379": true, "unix:///run/v.sock": true,
		"valkeys://valkey.example": true, "rediss://h:1": true, "valkey://127.0.0.1:1?addr=localhost:2": true,
		"valkey://valkey.example": false, "redis://mx@192.0.2.1:6379": false, "valkey://localhost:1?addr=b:2": false, "valkey://10.0.0.1": false,
	} {
		for insecure, want := range map[string]bool{"false": ok, "true": true} {
			_, err := config.Load("", vars(map[string]string{"TLSRATCHET_SHARED": url, "TLSRATCHET_SHARED_INSECURE": insecure}), config.Flags{})
			if (err == nil) != want || err != nil && !strings.HasPrefix(err.Error(), "TLSRATCHET_SHARED: ") {
				t.Errorf("%s, shared_insecure = %s: %v", url, insecure, err)
			}
		}
	}
	_, err := config.Load(write(t, "header = 'all'\nshared = 'valkey://valkey.example'\n"), nil, config.Flags{})
	if err == nil || !strings.Contains(err.Error(), ":2: shared: \"valkey.example\" is another host and the connection is in clear: use valkeys://, or set shared_insecure = true") {
		t.Error(err)
	}
}

func TestBadSharedServers(t *testing.T) {
	for url, want := range map[string]string{
		"127.0.0.1:6379":                    "unknown server",
		"http://127.0.0.1":                  "unknown server",
		"valkey:host":                       "unknown server",
		"valkey://h:1#x":                    "unknown server",
		"valkey://\x7f":                     "unknown server",
		"valkey://":                         "want host:port",
		"valkey://h:99999":                  "want host:port",
		"valkey://h:1/one":                  "want a number",
		"valkey://h:1?skip_verify=1":        `unknown ?"skip_verify"`,
		"valkey://h:1?addr=b":               `unknown server "b"`,
		"valkey://h:1?master_set=":          `unknown ?"master_set"`,
		"unix://run/v.sock":                 "want the absolute path",
		"unix:///run/v.sock?addr=h:1":       `unknown ?"addr"`,
		"unix:///run/v.sock?db=x":           `unknown ?"db"`,
		"valkey://mx:hunter2@h:1":           "no password belongs here: use shared_password_file, or TLSRATCHET_SHARED_PASSWORD",
		"valkeyy://mx:hunter2@h:1?x=1":      "no password belongs here",
		"valkey://mx:hunter2@h:1\x7f":       "unknown server",
		"unix://mx:hunter2@/run/v.sock?x=1": "no password belongs here",
	} {
		_, err := config.Load("", vars(map[string]string{"TLSRATCHET_SHARED": url}), config.Flags{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q and no password", url, err, want)
		}
	}
}

func TestSharedPassword(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	for content, want := range map[string]string{"": "", "secret": "secret", "secret\n": "secret", " se cret \r\n": " se cret "} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := (config.Shared{PasswordFile: file}).Password(); err != nil || got != want {
			t.Errorf("%q: %q, %v", content, got, err)
		}
	}
	if _, err := (config.Shared{PasswordFile: file + "x"}).Password(); err == nil {
		t.Error("a file that isn't there is no error")
	}
	t.Setenv(config.SharedPassword, "from the environment")
	if got, err := (config.Shared{}).Password(); err != nil || got != "from the environment" {
		t.Errorf("%q, %v", got, err)
	}
}
