package tlsratchet_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// floors are our rooms from the ground up: a room imports rooms of lower floors
// alone.
var floors = [][]string{
	{"internal/clean", "tlsstate"},
	{"internal/config", "tlsstate/store", "internal/peer", "internal/peer/spf/resolver", "milter/wire", "internal/selfcheck"},
	{"tlsstate/store/shared", "internal/peer/spf", "internal/doctor"},
	{"internal/ratchet"},
	{"milter", "internal/incident", "internal/maillog"},
	{"internal/admin", "internal/alert", "internal/status", "internal/replay"},
}

// never are imports that the floors would allow.
var never = map[string][]string{
	"internal/alert":  {"milter"},
	"internal/status": {"milter"},
	"internal/config": {"internal/clean"},
}

// pure are packages that tlsstate must do without: it has no I/O, no clock of
// its own, no log.
var pure = []string{"net", "os", "log", "log/slog", "database/sql"}

const module = "tlsratchet/"

func TestFloors(t *testing.T) {
	for room, deps := range list(t, "Deps") {
		room = strings.TrimPrefix(room, module)
		at := floor(room)
		if at < 0 {
			if !free(room) {
				t.Errorf("%s is on no floor: say on which", room)
			}
			continue
		}
		for _, dep := range deps {
			dep, ours := strings.CutPrefix(dep, module)
			if ours && (floor(dep) < 0 || floor(dep) >= at || slices.Contains(never[room], dep)) {
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

// floor returns the floor of a room, or -1.
func floor(room string) int {
	return slices.IndexFunc(floors, func(rooms []string) bool { return slices.Contains(rooms, room) })
}

// free tells the rooms that may use all others: the commands, and what only
// tests and measures.
func free(room string) bool {
	for _, prefix := range []string{"cmd/", "test/", "contrib/", "tlsstate/store/storetest"} {
		if strings.HasPrefix(room, prefix) {
			return true
		}
	}
	return room == "tlsratchet" || strings.HasSuffix(room, "/cmd")
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
