package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/internal/config"
	"tlsratchet/internal/daemon"
)

// What doctor knows of a configuration.
func TestDoctorOptions(t *testing.T) {
	const ours = "unix:/run/ours.sock"
	for _, tt := range []struct {
		name    string
		listen  []string
		shared  string
		sockets []string
		isOne   bool
	}{
		{"by default", nil, "", []string{config.DefaultSocket}, true},
		{"a socket and a port", []string{ours, "inet:127.0.0.1:8891"}, "", []string{"/run/ours.sock", "inet:127.0.0.1:8891"}, true},
		{"systemd's is where its unit puts it", []string{"systemd"}, "", []string{config.DefaultSocket}, true},
		{"a memory that hosts share", []string{ours}, "valkeys://192.0.2.9:6379", []string{"/run/ours.sock"}, false},
	} {
		env := func(string) (string, bool) { return "", false }
		if tt.shared != "" {
			env = func(name string) (string, bool) { return tt.shared, name == "TLSRATCHET_SHARED" }
		}
		flags := config.Flags{}
		if tt.listen != nil {
			flags["listen"] = strings.Join(tt.listen, ",")
		}
		cfg, err := config.Load("", env, flags)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		o := daemon.DoctorOptions(cfg)
		if diff := cmp.Diff(tt.sockets, o.Sockets); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		if o.Shared == tt.isOne {
			t.Errorf("%s: shared is %v", tt.name, o.Shared)
		}
	}
}
