package config_test

import (
	"bufio"
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/internal/config"
)

const example = "../../contrib/tlsratchet.toml"

// uncommented is the example with its commented-out rows in effect.
func uncommented(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^#([^\s#])`).ReplaceAllString(string(data), "$1")
}

func TestExampleIsTheDefaults(t *testing.T) {
	want, err := config.Load("", nil, config.Flags{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := config.Load(example, nil, config.Flags{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("defaults against example (-want +got):\n%s", diff)
	}
}

func TestExampleRowsLoad(t *testing.T) {
	c := load(t, uncommented(t))
	if len(c.Peers) != 5 || len(c.Destinations) != 4 {
		t.Errorf("%d peers and %d destinations, want the example's 5 and 4", len(c.Peers), len(c.Destinations))
	}
}

// TestExampleHasEveryKey compares its keys, in order, with those that Write
// knows.
func TestExampleHasEveryKey(t *testing.T) {
	content := uncommented(t)
	defaults, err := config.Load("", nil, config.Flags{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(keys(text(t, defaults)), keys(content[:strings.Index(content, "[[peer]]\n")])); diff != "" {
		t.Errorf("keys of the program against those of the example (-want +got):\n%s", diff)
	}
	for _, key := range []string{"domain", "subdomains", "network", "sender", "action", "least", "exempt", "kind", "url", "secret", "token", "body", "server", "to", "from"} {
		if !regexp.MustCompile(`(?m)^` + key + ` = `).MatchString(content[strings.Index(content, "[[peer]]\n"):]) {
			t.Errorf("no row shows %s", key)
		}
	}
}

// TestExampleNamesEveryVariable: each key's comment ends with its variable,
// and the variable sets that key.
func TestExampleNamesEveryVariable(t *testing.T) {
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`# Variable: (TLSRATCHET_\w+)\.(?: Flag: --[a-z-]+\.)?(?: Needs a restart\.)?\n([a-z_]+) = `).FindAllSubmatch(data, -1)
	if want := len(regexp.MustCompile(`(?m)^[a-z_]+ = `).FindAll(data, -1)); len(found) != want {
		t.Fatalf("%d keys with their variable, want %d", len(found), want)
	}
	for _, m := range found {
		variable, key := string(m[1]), string(m[2])
		// Wrong for every key but the lists and words that take any text.
		_, err := config.Load("", vars(map[string]string{variable: "\x7f,"}), config.Flags{})
		if err == nil || !strings.HasPrefix(err.Error(), variable+": ") {
			t.Errorf("%s (%s) is not read: %v", variable, key, err)
		}
	}
}

// keys returns the keys of a file, each with its table.
func keys(file string) []string {
	var all []string
	table := ""
	for lines := bufio.NewScanner(bytes.NewBufferString(file)); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "[") {
			table = strings.Trim(line, "[]") + "."
		}
		if key, _, ok := strings.Cut(line, " = "); ok && !strings.HasPrefix(line, "#") {
			all = append(all, table+key)
		}
	}
	return all
}
