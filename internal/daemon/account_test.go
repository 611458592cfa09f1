package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/config"
)

// TestUnreadable: root's check names what the service's user can't read.
func TestUnreadable(t *testing.T) {
	folder, err := os.MkdirTemp("", "unreadable") // every user may enter it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	systemctl := "#!/bin/sh\nprintf 'LoadState=loaded\\nUser=nobody\\n'\n"
	for name, mode := range map[string]os.FileMode{"": 0o755, "systemctl": 0o755, "open": 0o644, "key": 0o600, "tlsratchet.toml": 0o640} {
		path := filepath.Join(folder, name)
		if name != "" {
			if err := os.WriteFile(path, []byte(systemctl), mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	cfg := &config.Config{Destinations: []alert.Settings{
		{URL: "file:" + folder + "/open", Secret: "file:" + folder + "/key", Token: "file:/run/credentials/tlsratchet.service/token"},
	}}
	if err := os.Mkdir(folder+"/closed", 0o700); err != nil {
		t.Fatal(err)
	}
	cfg.Destinations[0].Body = folder + "/closed/body"
	advice := ": change the owner or mode, or pass it with LoadCredential="
	want := []string{
		"the service runs as the user nobody, who can't read " + folder + "/closed/body, because it can't enter " + folder + "/closed" + advice,
		"the service runs as the user nobody, who can't read " + folder + "/key" + advice,
		"the service runs as the user nobody, who can't read " + folder + "/tlsratchet.toml" + advice,
	}
	if diff := cmp.Diff(want, Unreadable(cfg, folder+"/tlsratchet.toml")); diff != "" {
		t.Errorf("want - got +:\n%s", diff)
	}
}
