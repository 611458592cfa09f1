package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestConfigFile: every command reads the file that the unit names, where it
// exists.
func TestConfigFile(t *testing.T) {
	dir := t.TempDir()
	there, absent := filepath.Join(dir, "there.toml"), filepath.Join(dir, "absent.toml")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ named, usual, want string }{
		{"", there, there},
		{"", absent, ""},
		{"none", there, ""},
		{absent, there, absent}, // named: that it is absent is an error
	} {
		if got := configFile(tt.named, tt.usual); got != tt.want {
			t.Errorf("%q, %q: got %q, want %q", tt.named, tt.usual, got, tt.want)
		}
	}
}
