package alert

import (
	"strings"

	"tlsratchet/internal/clean"
	"tlsratchet/tlsstate"
)

// inert returns one line of clean text without markup: what would be a mention, a
// link or emphasis in a chat becomes '?'.
func inert(s string, most int) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("<>@*`|#!\"&\\~$^{}[]", r) {
			return '?'
		}
		return r
	}, clean.Text(s, most-len("...")))
}

// lines is inert for a text of several lines.
func lines(s string) string {
	var all []string
	for line := range strings.SplitSeq(s, "\n") {
		all = append(all, inert(line, maxText))
	}
	joined := strings.Join(all, "\n")
	if len(joined) <= maxText {
		return joined
	}
	return joined[:maxText-len("...")] + "..."
}

// name returns a name of a peer's choice; all but letters, digits and ".-_:/"
// becomes '?'.
func name(s string) string {
	return strings.Map(func(r rune) rune {
		if isName(r) {
			return r
		}
		return '?'
	}, clean.Text(s, 255))
}

func isName(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_:/", r)
}

// isPlain reports whether a name, an identity or a queue id, is safe in a shell
// command.
func isPlain(s string) bool {
	const longest = 16 + tlsstate.MaxName // with its kind
	return s != "" && len(s) <= longest && s[0] != '-' && strings.IndexFunc(s, func(r rune) bool { return !isName(r) }) < 0
}
