package words

import "testing"

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"TLSv1.2":     "TLSv1.2",
		"":            `""`,
		"a b":         `"a b"`,
		`a"b\c`:       `"a\"b\\c"`,
		"x;y":         `"x;y"`,
		"a\r\nb":      "a??b",
		"address:::1": "address:::1",
	} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}
