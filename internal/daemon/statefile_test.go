package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tlsratchet/internal/config"
	"tlsratchet/internal/statefile"
	"tlsratchet/milter/wire"
)

// Two histories in one folder have a state each: neither daemon overwrites the
// other's incidents and alerts.
func TestStateOfTwoHistories(t *testing.T) {
	for history, want := range map[string]string{
		"/var/lib/tlsratchet/history.db": "/var/lib/tlsratchet/incidents.json",
		"/srv/history.db":                "/srv/incidents.json",
		"/var/lib/tlsratchet/trial.db":   "/var/lib/tlsratchet/trial.db.incidents.json",
		"trial":                          "trial.incidents.json",
	} {
		if got := stateFile(&config.Config{History: history}, "incidents.json"); got != statefile.At(want) {
			t.Errorf("%s: %v, want %s", history, got, want)
		}
	}
}

// TestDamagedState: each state file that is damaged is set aside before it is replaced,
// and the log has its name, and that of the one before which had to go for it.
func TestDamagedState(t *testing.T) {
	cfg := testConfig(t)
	cfg.Outbound.Listen = []wire.Spec{{Network: "unix", Address: filepath.Join(t.TempDir(), "out.sock")}}
	cfg.Outbound.Log = config.Off
	var first map[string]string
	for start := range 4 {
		damaged := fmt.Appendf(nil, `{"answer": %d`, start)
		asides := make(map[string]string)
		for _, name := range []string{"notices.json", "breaker.json", "outbound.json", "incidents.json"} {
			if err := os.WriteFile(filepath.Join(filepath.Dir(cfg.History), name), damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			asides[name] = ""
		}
		log := make(lines, 1000)
		d, err := New(cfg, "test", log)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.close(); err != nil {
			t.Fatal(err)
		}
		close(log)
		var logged strings.Builder
		for line := range log {
			logged.WriteString(line)
		}
		for name := range asides {
			path := filepath.Join(filepath.Dir(cfg.History), name)
			all := statefile.At(path).Asides()
			if len(all) != min(start+1, 3) {
				t.Fatalf("start %d: %s is set aside as %q", start, name, all)
			}
			asides[name] = all[len(all)-1]
			if b, err := os.ReadFile(asides[name]); err != nil || !bytes.Equal(b, damaged) {
				t.Errorf("%s holds %s, %v", asides[name], b, err)
			}
			if b, err := os.ReadFile(path); err != nil || !json.Valid(bytes.Split(b, []byte("\n"))[0]) {
				t.Errorf("%s is now %s, %v", name, b, err)
			}
			removed := "[]"
			if start == 3 {
				removed = "[" + first[name] + "]"
			}
			if want := "renamed=" + asides[name] + " removed=" + removed + " "; !strings.Contains(logged.String(), want) {
				t.Errorf("no %q in\n%s", want, &logged)
			}
		}
		if start == 0 {
			first = asides
		}
	}
}
