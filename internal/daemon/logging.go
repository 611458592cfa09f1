package daemon

import (
	"context"
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
	if w == os.Stderr && err == nil && isJournal {
		return slog.New(journalHandler(w, cfg.Log.Format, level))
	}
	return slog.New(formatHandler(w, cfg.Log.Format, &slog.HandlerOptions{Level: level}))
}

func formatHandler(w io.Writer, format string, options *slog.HandlerOptions) slog.Handler {
	if format == config.LogJSON {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// byPriority has a handler for each priority of the journal: error, warning,
// info, debug.
type byPriority [4]slog.Handler

func journalHandler(w io.Writer, format string, level slog.Leveler) slog.Handler {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTime}
	var all byPriority
	for i, prefix := range [...]string{"<3>", "<4>", "<6>", "<7>"} {
		all[i] = formatHandler(prefixWriter{w, prefix}, format, options)
	}
	return all
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// at returns the handler of a level.
func (p byPriority) at(l slog.Level) slog.Handler {
	switch {
	case l >= slog.LevelError:
		return p[0]
	case l >= slog.LevelWarn:
		return p[1]
	case l >= slog.LevelInfo:
		return p[2]
	}
	return p[3]
}

// Enabled implements [slog.Handler].
func (p byPriority) Enabled(ctx context.Context, l slog.Level) bool { return p[0].Enabled(ctx, l) }

// Handle implements [slog.Handler].
func (p byPriority) Handle(ctx context.Context, r slog.Record) error {
	return p.at(r.Level).Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (p byPriority) WithAttrs(attrs []slog.Attr) slog.Handler {
	for i := range p {
		p[i] = p[i].WithAttrs(attrs)
	}
	return p
}

// WithGroup implements [slog.Handler].
func (p byPriority) WithGroup(name string) slog.Handler {
	for i := range p {
		p[i] = p[i].WithGroup(name)
	}
	return p
}

// prefixWriter puts a prefix before each write, which is one line.
type prefixWriter struct {
	w      io.Writer
	prefix string
}

// Write implements [io.Writer].
func (p prefixWriter) Write(b []byte) (int, error) {
	n, err := p.w.Write(append([]byte(p.prefix), b...))
	return max(n-len(p.prefix), 0), err
}
