package daemon

import (
	"bytes"
	"io"
	"log/slog"
	"os"

	"github.com/coreos/go-systemd/v22/journal"

	"tlsratchet/internal/config"
)

// NewLogger returns a logger in the configured format, whose level may be
// changed while it runs. Where w is stderr and systemd's journal reads it, each
// line begins with its priority (sd-daemon(3)) and has no time: the journal
// notes it.
func NewLogger(w io.Writer, cfg *config.Config, level *slog.LevelVar) *slog.Logger {
	level.Set(cfg.Log.Level)
	isJournal, err := journal.StderrIsJournalStream()
	return slog.New(newHandler(w, cfg.Log.Format, level, w == os.Stderr && err == nil && isJournal))
}

func newHandler(w io.Writer, format string, level slog.Leveler, isJournal bool) slog.Handler {
	options := &slog.HandlerOptions{Level: level}
	if isJournal {
		w, options.ReplaceAttr = journalWriter{w}, func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	if format == config.LogJSON {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// journalWriter puts its priority before each line, which a handler writes at
// once. Without a time, a line begins with its level.
type journalWriter struct{ w io.Writer }

// Write implements [io.Writer].
func (j journalWriter) Write(b []byte) (int, error) {
	level, priority := bytes.TrimLeft(b, `{"level":=`), "<7>"
	for prefix, p := range map[string]string{"ERROR": "<3>", "WARN": "<4>", "INFO": "<6>"} {
		if bytes.HasPrefix(level, []byte(prefix)) {
			priority = p
		}
	}
	n, err := j.w.Write(append([]byte(priority), b...))
	return max(n-len(priority), 0), err
}
