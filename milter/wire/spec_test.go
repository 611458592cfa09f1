package wire

import "testing"

// TestSpec: its text, and the network that is listened on.
func TestSpec(t *testing.T) {
	for _, tt := range []struct {
		spec          Spec
		text, network string
	}{
		{Spec{NetworkUnix, "/run/m"}, "unix:/run/m", NetworkUnix},
		{Spec{NetworkTCP, "127.0.0.1:8891"}, "inet:127.0.0.1:8891", "tcp4"},
		{Spec{NetworkTCP, "0.0.0.0:8891"}, "inet:0.0.0.0:8891", "tcp4"},
		{Spec{NetworkTCP, "[::1]:8891"}, "inet:[::1]:8891", "tcp6"},
		{Spec{NetworkTCP, "localhost:8891"}, "inet:localhost:8891", NetworkTCP},
		{Spec{Network: NetworkSystemd}, "systemd", NetworkSystemd},
	} {
		if got := tt.spec.String(); got != tt.text {
			t.Errorf("got %s, want %s", got, tt.text)
		}
		if got := tt.spec.network(); got != tt.network {
			t.Errorf("%s: got %s, want %s", tt.text, got, tt.network)
		}
	}
}
