package wire

import (
	"io"
	"log/slog"
)

// maxLogText is the most that a line of go-milter's becomes: a panic with the
// frames of its stack that matter.
const maxLogText = 2000

// LogWriter makes a writer for [log.SetOutput] (with log.SetFlags(0), for slog
// has its own time), which is where go-milter logs: every write, which is one
// event of the standard logger however many lines it has, becomes one event
// and one line, printable ASCII, at level Warn.
func LogWriter(to *slog.Logger) io.Writer { return logWriter{to} }

type logWriter struct{ to *slog.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	if text := clean(p, maxLogText); text != "" {
		w.to.Warn("go-milter", "text", text)
	}
	return len(p), nil
}

// clean makes one line of at most limit bytes, all from 0x20 to 0x7E: lines
// are joined by a bar, white space is folded, and all else is a question mark.
func clean(p []byte, limit int) string {
	out := make([]byte, 0, min(len(p), limit))
	gap := ""
	for _, b := range p {
		switch {
		case b == '\n' || b == '\r':
			gap = " | "
			continue
		case b == ' ' || b == '\t':
			if gap == "" {
				gap = " "
			}
			continue
		case b < 0x20 || b > 0x7E:
			b = '?'
		}
		if len(out) > 0 {
			out = append(out, gap...)
		}
		gap = ""
		if out = append(out, b); len(out) >= limit {
			return string(out[:limit])
		}
	}
	return string(out)
}
