package peer

import (
	"strings"
	"testing"
)

func TestAddress(t *testing.T) {
	for arg, want := range map[string]string{
		"<a@partner.example>":    "a@partner.example",
		"a@partner.example":      "a@partner.example",
		"Joe<a@partner.example>": "a@partner.example",
		"":                       "",
		"<a@partner.example(x)>": "a@partner.example",
		"<a(a comment (nested) \\) here)@b.example>": "a@b.example",
		"a@b.example(never ends>":                    "a@b.example",
		"<a@b.example>(x)":                           "a@b.example",
		"<(x)>":                                      "",
		"<a @\tb.example>":                           "a@b.example",
		`<"a (b) c"@d.example (x)>`:                  `"a (b) c"@d.example`,
		`<"a\"(b"@d.example(")>`:                     `"a\"(b"@d.example`,
		`<a)b@d.example(x)\`:                         `a)b@d.example\`,
		`<a\(b@d.example>`:                           `a\(b@d.example`,
	} {
		if got := Address(arg); got != want {
			t.Errorf("%q: %q, want %q", arg, got, want)
		}
	}
}

// FuzzAddress: whatever a client writes, what is left has none of the white space
// that stands outside of quotes, is no longer, and in a plain argument is all of it.
func FuzzAddress(f *testing.F) {
	for _, arg := range []string{"<a@partner.example>", `<"a (b)\" c"@d.example (x)>`, "<(x(y)>", "Joe <a @\tb.example>", `<a\`, "<<>>", "((\\"} {
		f.Add(arg)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		got := Address(arg)
		if len(got) > len(arg) {
			t.Errorf("%q: %q", arg, got)
		}
		if !strings.ContainsAny(arg, `"\`) && strings.ContainsAny(got, " \t<>") {
			t.Errorf("%q: %q", arg, got)
		}
		if !strings.ContainsAny(arg, " \t\r\n\v\f\u0085\u00a0<>()") && got != arg && strings.TrimSpace(arg) == arg {
			t.Errorf("%q: %q", arg, got)
		}
	})
}
