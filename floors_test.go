package tlsratchet_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// floors says for each room which rooms of ours it may import: imports run
// downward only.
var floors = map[string][]string{
	"tlsratchet/internal/clean": {},
	"tlsratchet/tlsstate":       {},
	"tlsratchet/tlsstate/store": {"tlsstate"},
	"tlsratchet/peer":           {"tlsstate"},
	"tlsratchet/peer/spf":       {"peer", "tlsstate", "internal/clean"},
	"tlsratchet/ratchet":        {"peer", "peer/spf", "tlsstate", "internal/clean"},
	"tlsratchet/milter/wire":    {"internal/clean"},
	"tlsratchet/milter":         {"milter/wire", "ratchet", "peer", "peer/spf", "tlsstate", "internal/clean"},
	"tlsratchet/incident":       {"ratchet", "peer", "peer/spf", "tlsstate", "internal/clean"},
	"tlsratchet/alert":          {"incident", "ratchet", "peer", "peer/spf", "tlsstate", "internal/clean"},
	"tlsratchet/selfcheck":      {"internal/clean"},
	"tlsratchet/status":         {"incident", "ratchet", "peer", "peer/spf", "selfcheck", "tlsstate", "tlsstate/store", "internal/clean"},
	"tlsratchet/maillog":        {"ratchet", "peer", "peer/spf", "tlsstate", "internal/clean"},
	"tlsratchet/maillog/loggen": {},
	"tlsratchet/replay":         {"maillog", "ratchet", "peer", "peer/spf", "tlsstate", "internal/clean"},
	"tlsratchet/config":         {"tlsstate"},
	"tlsratchet/population":     {"ratchet", "peer", "peer/spf", "tlsstate", "internal/clean"},
	"tlsratchet/population/cmd": {"population", "ratchet", "peer", "peer/spf", "tlsstate", "internal/clean"},
}

// pure are packages that tlsstate must do without: it has no I/O, no clock of
// its own, no log.
var pure = []string{"net", "os", "log", "log/slog", "database/sql"}

func TestFloors(t *testing.T) {
	deps := list(t, "Deps")
	for room, imports := range deps {
		allowed, known := floors[room]
		if !known && !free(room) {
			t.Errorf("%s is not in the table: say which floor it is on", room)
		}
		for _, dep := range imports {
			if ours, ok := strings.CutPrefix(dep, "tlsratchet/"); ok && known && !slices.Contains(allowed, ours) && dep != room {
				t.Errorf("%s imports %s, which is not below it", room, dep)
			}
		}
	}
	for _, dep := range list(t, "Imports")["tlsratchet/tlsstate"] {
		if slices.Contains(pure, dep) {
			t.Errorf("tlsstate imports %s", dep)
		}
	}
}

// free tells the rooms that may use all others: the commands, and what only
// tests and measures.
func free(room string) bool {
	for _, prefix := range []string{"cmd/", "e2e", "bench", "soak", "internal/mtatest", "internal/posttest", "contrib/", "tlsstate/store/storetest"} {
		if strings.HasPrefix(strings.TrimPrefix(room, "tlsratchet/"), prefix) {
			return true
		}
	}
	return room == "tlsratchet"
}

// list returns the rooms and, of each, the packages that it imports (Imports)
// or depends on directly or not (Deps). Tests are left out.
func list(t *testing.T, field string) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .`+field+` " "}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]string)
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		room, rest, _ := strings.Cut(line, " ")
		all[room] = strings.Fields(rest)
	}
	return all
}
