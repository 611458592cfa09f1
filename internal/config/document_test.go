package config

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tlsratchet/tlsstate"
)

func TestLinesOfKeys(t *testing.T) {
	for _, tc := range []struct {
		name, file string
		want       map[string]int
	}{
		{"empty", "", map[string]int{}},
		{"top", "a = 1\n\n# b = 2\nc = 3", map[string]int{"a": 1, "c": 4}},
		{"carriage returns", "a = 1\r\n[t]\r\nb = 2\r\n", map[string]int{"a": 1, "t": 2, "t.b": 3}},
		{"table", "[t]\na = 1\n[u]\na = 2\n", map[string]int{"t": 1, "t.a": 2, "u": 3, "u.a": 4}},
		{"table in a table", "[t.u]\na = 1\n", map[string]int{"t": 1, "t.u": 1, "t.u.a": 2}},
		{"dotted", "t.a = 1\nt.b = 2\n", map[string]int{"t": 1, "t.a": 1, "t.b": 2}},
		{"in quotes", "\"t.a\" = 1\n'' = 2\n", map[string]int{`"t.a"`: 1, `""`: 2}},
		{"inline", "t = {a = 1, u = {b = 2}}\n", map[string]int{"t": 1, "t.a": 1, "t.u": 1, "t.u.b": 1}},
		{"list over lines", "a = [\n1,\n2]\nb = 1\n", map[string]int{"a": 1, "b": 4}},
		{"text over lines", "a = '''\nb = 1\n'''\nc = 1\n", map[string]int{"a": 1, "c": 4}},
		{"rows", "[[p]]\na = 1\n[[p]]\n\na = 2\n", map[string]int{"p": 1, "p[0]": 1, "p[0].a": 2, "p[1]": 3, "p[1].a": 5}},
		{"a table in a row", "[[p]]\n[[p]]\n[p.t]\na = 1\n", map[string]int{"p": 1, "p[0]": 1, "p[1]": 2, "p[1].t": 3, "p[1].t.a": 4}},
		{"rows in rows", "[[p]]\n[[p.q]]\n[[p.q]]\na = 1\n[[p]]\n[[p.q]]\n",
			map[string]int{"p": 1, "p[0]": 1, "p[0].q": 2, "p[0].q[0]": 2, "p[0].q[1]": 3, "p[0].q[1].a": 4, "p[1]": 5, "p[1].q": 6, "p[1].q[0]": 6}},
		{"rows inline", "p = [\n{a = 1},\n{a = 2}]\n", map[string]int{"p": 1, "p[0].a": 2, "p[1].a": 3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc, broken := parse([]byte(tc.file))
			if broken != nil {
				t.Fatal(broken)
			}
			if diff := cmp.Diff(tc.want, doc.lines); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLineOfWhatHasNone(t *testing.T) {
	doc, broken := parse([]byte("\na = 1\n[t]\n[[p]]\n[[p]]\n"))
	if broken != nil {
		t.Fatal(broken)
	}
	for position, want := range map[string]int{
		"a": 2, "a[3]": 2, "t.missing": 3, "t.missing.too": 3, "p[1].missing": 5, "p[7]": 4, "missing": 0, "": 0,
	} {
		if got := doc.line(position); got != want {
			t.Errorf("%q: line %d, want %d", position, got, want)
		}
	}
}

func TestDotted(t *testing.T) {
	for _, tc := range [][3]string{
		{"", "a", "a"},
		{"t", "a_B-9", "t.a_B-9"},
		{"t", "a.b", `t."a.b"`},
		{"", "", `""`},
		{"t", "é\x1b", `t."\u00e9\x1b"`},
	} {
		if got := dotted(tc[0], tc[1]); got != tc[2] {
			t.Errorf("%q, %q: got %s, want %s", tc[0], tc[1], got, tc[2])
		}
	}
}

// TestEverySettingIsComplete: a key that is in the table works in all layers.
func TestEverySettingIsComplete(t *testing.T) {
	keys, variables := map[string]bool{}, map[string]bool{}
	for _, s := range settings(defaults()) {
		if keys[s.name] || variables[s.variable()] {
			t.Errorf("%s or %s is there twice", s.name, s.variable())
		}
		keys[s.name], variables[s.variable()] = true, true
		if !strings.HasPrefix(s.variable(), "TLSRATCHET_") {
			t.Errorf("%s has the variable %q", s.name, s.variable())
		}
		before := s.show()
		if err := s.set(struct{}{}); err == nil || s.show() != before {
			t.Errorf("%s takes anything, or forgets its value when it is wrong: %v", s.name, err)
		}
		doc, broken := parse([]byte("x = " + before))
		if broken != nil {
			t.Fatalf("%s shows %s: %v", s.name, before, broken)
		}
		if err := s.set(doc.values["x"]); err != nil || s.show() != before {
			t.Errorf("%s does not take its own default %s: %v", s.name, before, err)
		}
	}
}

// TestNumbersTakeTheirWholeRange, and nothing beyond it.
func TestNumbersTakeTheirWholeRange(t *testing.T) {
	ranges := map[string][2]int64{
		"breaker.domains": {1, 1000}, "breaker.window_seconds": {60, 86400}, "breaker.pin_days": {0, 64},
		"limits.connections": {1, 65536}, "limits.idle_seconds": {60, 86400}, "limits.drain_seconds": {0, 300},
		"limits.read_milliseconds": {10, 10_000}, "limits.cache": {100, 10_000_000}, "limits.identities": {1000, 100_000_000},
		"policy.pin_after_days": {1, 64}, "policy.pin_max_age_days": {1, 3650},
		"policy.release_after_days": {2, 64}, "policy.relax_after_days": {2, 64},
		"outbound.pin_after_days": {1, 64}, "outbound.pin_max_age_days": {1, 3650},
		"outbound.release_after_days": {2, 64}, "outbound.relax_after_days": {2, 64},
		"selfcheck.every_seconds": {10, 86400}, "dns.timeout_milliseconds": {100, 2000}, "shared_milliseconds": {1, 1000}, "alert.per_hour": {1, 1000},
	}
	example := commented(t)
	for _, s := range settings(defaults()) {
		if _, ok := s.text("7").(int64); !ok {
			continue
		}
		r, ok := ranges[s.name]
		if !ok {
			t.Errorf("%s: the test doesn't know its range", s.name)
			continue
		}
		if states := fmt.Sprintf("%d to %d", r[0], r[1]); !strings.HasPrefix(s.name, "outbound.") && !strings.Contains(example[s.variable()], states) {
			t.Errorf("the example does not state %s of %s:\n%s", states, s.name, example[s.variable()])
		}
		for n, want := range map[int64]bool{r[0] - 1: false, r[0]: true, r[1]: true, r[1] + 1: false, -1 << 63: false} {
			if err := s.set(n); (err == nil) != want {
				t.Errorf("%s = %d: %v", s.name, n, err)
			}
		}
	}
}

// commented are the comments of the example, by the variable at their end.
func commented(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("../../contrib/tlsratchet.toml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)((?:^#.*\n)*?)^# Variable: (\w+)(.*)\n`).FindAllSubmatch(data, -1) {
		all[string(m[2])] = strings.ReplaceAll(string(m[1]), "\n# ", " ") + string(m[3])
	}
	return all
}

// TestExampleStatesRestarts: what a reload does not change is stated beside the key.
func TestExampleStatesRestarts(t *testing.T) {
	example := commented(t)
	for _, s := range settings(defaults()) {
		if strings.HasSuffix(example[s.variable()], " Needs a restart.") == s.live {
			t.Errorf("%s: the example does not state whether it needs a restart: %q", s.name, example[s.variable()])
		}
	}
}

// TestErrorsAreOnTheirLine puts one mistake somewhere into a good file.
func TestErrorsAreOnTheirLine(t *testing.T) {
	good := strings.Split(strings.TrimSpace(written(t, defaults())), "\n")
	rapid.Check(t, func(t *rapid.T) {
		var lines []string
		at := rapid.IntRange(0, len(good)-1).Filter(func(i int) bool { return strings.Contains(good[i], "=") }).Draw(t, "mistake")
		for i, line := range good {
			for range rapid.IntRange(0, 2).Draw(t, "blank") {
				lines = append(lines, rapid.SampledFrom([]string{"", "# x = 1", "\t"}).Draw(t, "line"))
			}
			if i == at {
				key, _, _ := strings.Cut(line, " =")
				line = key + " = {}"
				at = -1 - len(lines) // remembers where it came to be
			}
			lines = append(lines, line)
		}
		_, err := load("f", []byte(strings.Join(lines, "\n")), nil, Flags{})
		want := fmt.Sprintf("f:%d: ", -at)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Fatalf("got %v, want one error that begins with %s", err, want)
		}
	})
}

// TestWhatIsWrittenLoadsToTheSame draws configurations.
func TestWhatIsWrittenLoadsToTheSame(t *testing.T) {
	actions := rapid.SampledFrom([]tlsstate.Action{tlsstate.Observe, tlsstate.Header, tlsstate.Quarantine, tlsstate.Tempfail, tlsstate.Reject})
	levels := rapid.SampledFrom([]tlsstate.Level{tlsstate.Weak, tlsstate.TLS12, tlsstate.TLS13})
	rapid.Check(t, func(t *rapid.T) {
		c := defaults()
		c.History = "/" + rapid.StringMatching(`[a-z"\\ é%]{1,20}`).Draw(t, "history")
		c.Contact = rapid.StringMatching(`[ -~]{0,200}`).Draw(t, "contact")
		c.ExemptRecipients = rapid.SliceOfDistinct(rapid.StringMatching(`[a-z"'\\é]{1,9}`), rapid.ID).Draw(t, "recipients")
		c.Policy.Stripped, c.Policy.PinUpTo = actions.Draw(t, "stripped"), levels.Draw(t, "level")
		c.Policy.PinAfterDays = rapid.IntRange(1, 64).Draw(t, "days")
		for _, domain := range rapid.SliceOfDistinct(rapid.StringMatching(`[a-z]{1,9}(-[a-z0-9]{1,9})?\.example`), rapid.ID).Draw(t, "domains") {
			row := tlsstate.Row{Domain: domain, Subdomains: rapid.Bool().Draw(t, "subdomains")}
			if row.Exempt = rapid.Bool().Draw(t, "exempt"); !row.Exempt {
				a := actions.Draw(t, "action")
				row.Action = &a
				if rapid.Bool().Draw(t, "held") {
					row.Least = levels.Draw(t, "least")
				}
			}
			c.Peers = append(c.Peers, row)
		}
		roundTrip(t, c)
	})
}

func written(t *testing.T, c *Config) string {
	t.Helper()
	var b strings.Builder
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
