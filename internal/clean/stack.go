package clean

import (
	"runtime/debug"
	"strings"
)

// Stack returns the stack of the calling goroutine on one line, for a log:
// 8,000 bytes at most.
func Stack() string {
	return Text(strings.Join(strings.Fields(string(debug.Stack())), " "), 8000)
}
