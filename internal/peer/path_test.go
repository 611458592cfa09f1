package peer

import "testing"

func TestAddress(t *testing.T) {
	for arg, want := range map[string]string{
		"<a@partner.example>":    "a@partner.example",
		"a@partner.example":      "a@partner.example",
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
