// Package clean makes text from the wire fit to leave us: peers choose their
// names. The law holds for headers, replies, log lines and pages alike.
package clean

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync/atomic"
)

// Text returns s with only 0x20 to 0x7E left, every other byte as '?', and cut
// to limit bytes, which "..." after it marks.
func Text(s string, limit int) string {
	mark := ""
	if len(s) > limit {
		s, mark = s[:limit], "..."
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		b := []byte(s)
		for i, c := range b {
			if c < ' ' || c > '~' {
				b[i] = '?'
			}
		}
		s = string(b)
	}
	return s + mark
}

// Panics logs panics. The zero value is ready.
type Panics struct{ stacked atomic.Bool }

// Log logs a panic that the caller recovered, on one line: the first with its
// stack. Whoever finds out how to bring one about fills no log with stacks.
func (p *Panics) Log(log *slog.Logger, message string, value any) {
	attrs := []any{"error", Text(fmt.Sprint("panic: ", value), 300)}
	if !p.stacked.Swap(true) {
		attrs = append(attrs, "stack", Text(strings.Join(strings.Fields(string(debug.Stack())), " "), 8000))
	}
	log.Error(message, attrs...)
}

// Name returns a name of a peer's choice; all but letters, digits and ".-_:/"
// becomes '?'.
func Name(s string) string {
	return strings.Map(func(r rune) rune {
		if isName(r) {
			return r
		}
		return '?'
	}, Text(s, 255))
}

// IsWord reports whether a name, of at most 600 bytes, is one word of a shell
// command, and no option.
func IsWord(s string) bool {
	return s != "" && len(s) <= 600 && s[0] != '-' && !strings.ContainsFunc(s, func(r rune) bool { return !isName(r) })
}

func isName(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_:/", r)
}
