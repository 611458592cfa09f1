package resolver

import (
	"errors"
	"strings"
	"testing"
)

// TestAsk: names as SPF records have them, and what nothing can have as a name.
func TestAsk(t *testing.T) {
	label := strings.Repeat("a", maxLabel)
	longest := strings.Join([]string{label, label, label, label[:61]}, ".") // 253
	for name, want := range map[string]string{
		"Bank.Example":              "bank.example",
		"bank.example.":             "bank.example",
		"!.~":                       "!.~",
		"_spf.bank.example":         "_spf.bank.example",
		label + ".example":          label + ".example",
		longest:                     longest,
		longest + ".":               longest,
		"a." + longest:              longest,
		"a.b." + longest:            longest,
		"aa." + longest[1:]:         longest[1:],
		label + "a.example":         "",
		strings.Repeat("a", 300):    "",
		"a" + longest:               strings.Join([]string{label, label, label[:61]}, "."), // 254: its first label goes
		"":                          "",
		".":                         "",
		"bank..example":             "",
		".bank.example":             "",
		"bank.example..":            "",
		"bank example":              "",
		"bank\x7f.example":          "",
		"b\u00fccher.example":       "",
		"bank.example\r\n.":         "",
		strings.Repeat("a.", 126):   strings.Repeat("a.", 125) + "a",
		strings.Repeat("a.", 127):   strings.Repeat("a.", 126) + "a",
		strings.Repeat("a.", 200):   strings.Repeat("a.", 126) + "a",
		strings.Repeat(".", 300):    "",
		" " + longest:               strings.Join([]string{label, label, label[:61]}, "."),
		" .bank.example":            "",
		"bank.example " + label[:9]: "",
	} {
		q, err := Ask(name, TypeTXT)
		if want == "" {
			if !errors.Is(err, ErrNotFound) || q != (Question{}) {
				t.Errorf("%.60q: %v, %v", name, q, err)
			}
			continue
		}
		if err != nil || q != (Question{want, TypeTXT}) {
			t.Errorf("%.60q: %q, %v; want %q", name, q.Name, err, want)
		}
	}
}
