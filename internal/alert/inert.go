package alert

import (
	"strings"

	"tlsratchet/internal/clean"
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
