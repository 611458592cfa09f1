// Package arch_test holds the structure and the documents of the whole tree to
// what CONTRIBUTING.md and README.md promise.
package arch_test

import (
	"cmp"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// floors are our rooms from the ground up: a room imports rooms of lower floors
// alone.
var floors = [][]string{
	{"contrib", "internal/account", "internal/clean", "internal/loop", "internal/shell", "internal/statefile", "internal/trouble", "tlsstate"},
	{"internal/postconf", "tlsstate/store", "internal/peer", "internal/peer/spf/resolver", "milter/wire", "internal/selfcheck"},
	{"tlsstate/store/shared", "internal/peer/spf"},
	{"internal/ratchet"},
	{"internal/words"},
	{"internal/inbound"},
	{"milter", "internal/policyservice", "internal/incident", "internal/maillog"},
	{"internal/outbound", "internal/alert"},
	{"internal/admin", "internal/config", "internal/doctor", "internal/status", "internal/replay"},
	{"internal/daemon"},
}

// never are imports by the room itself that the floors would allow.
var never = map[string][]string{
	"internal/alert":  {"milter"},
	"internal/status": {"milter"},
	"internal/config": {"internal/clean"},
}

// pure are packages that tlsstate must do without: it has no I/O, no clock of
// its own, no log.
var pure = []string{"net", "os", "log", "log/slog", "database/sql"}

const module = "tlsratchet/"

// root is the top of the tree.
const root = "../.."

func TestFloors(t *testing.T) {
	for room, deps := range list(t, "Deps") {
		room = strings.TrimPrefix(room, module)
		for _, dep := range deps {
			if dep = strings.TrimPrefix(dep, module); !isTest(room) && isTest(dep) {
				t.Errorf("%s imports %s, which only tests", room, dep)
			}
		}
		at := floor(room)
		if at < 0 {
			if !isFree(room) {
				t.Errorf("%s is on no floor: say on which", room)
			}
			continue
		}
		for _, dep := range deps {
			dep, ours := strings.CutPrefix(dep, module)
			if ours && (floor(dep) < 0 || floor(dep) >= at) {
				t.Errorf("%s imports %s, which is not below it", room, dep)
			}
		}
	}
	for room, imports := range list(t, "Imports") {
		room = strings.TrimPrefix(room, module)
		for _, dep := range never[room] {
			if slices.Contains(imports, module+dep) {
				t.Errorf("%s imports %s", room, dep)
			}
		}
		if slices.Contains(imports, module+"internal/config") && room != "internal/daemon" && !isFree(room) {
			t.Errorf("%s imports internal/config: only the commands and the daemon may", room)
		}
	}
	for _, dep := range list(t, "Imports")["tlsratchet/tlsstate"] {
		if slices.Contains(pure, dep) {
			t.Errorf("tlsstate imports %s", dep)
		}
	}
}

// The table of rooms in docs/architecture.md has each room on its floor.
func TestTableOfRooms(t *testing.T) {
	rows := regexp.MustCompile("(?m)^\\| (\\d*) ?\\| `([a-z/]+)` \\|").FindAllStringSubmatch(documents(t)["docs/architecture.md"], -1)
	listed, at := map[string]bool{}, ""
	for _, row := range rows {
		at = cmp.Or(row[1], at)
		room := row[2]
		if listed[room] = true; !isFree(room) && strconv.Itoa(floor(room)) != at {
			t.Errorf("docs/architecture.md has %s on floor %s: it is on floor %d", room, at, floor(room))
		}
	}
	for _, rooms := range floors {
		for _, room := range rooms {
			if !listed[room] {
				t.Errorf("docs/architecture.md has no %s", room)
			}
		}
	}
}

// floor returns the floor of a room, or -1.
func floor(room string) int {
	return slices.IndexFunc(floors, func(rooms []string) bool { return slices.Contains(rooms, room) })
}

// isFree reports whether a room may use all others: the commands, and what only
// tests and measures.
func isFree(room string) bool {
	return strings.HasPrefix(room, "cmd/") || isTest(room)
}

// isTest reports whether a room only tests or measures.
func isTest(room string) bool {
	return strings.HasPrefix(room, "test/")
}

// list returns the rooms and, of each, the packages that it imports (Imports)
// or depends on directly or not (Deps). Tests are left out.
func list(t *testing.T, field string) map[string][]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .`+field+` " "}}`, "./...")
	cmd.Dir = root
	out, err := cmd.Output()
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
