package daemon

import (
	"testing"

	"tlsratchet/internal/config"
	"tlsratchet/internal/statefile"
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
