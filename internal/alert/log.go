package alert

import (
	"context"
	"log/slog"
	"strings"
)

// toLog writes messages to the log, a line each.
func toLog(log *slog.Logger) func(context.Context, ...*Message) (string, error) {
	return func(ctx context.Context, all ...*Message) (string, error) {
		m := all[0]
		level := [...]slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelError}[m.Urgency()]
		attrs := []slog.Attr{
			slog.String("key", m.Key), slog.String("what", m.What), slog.String("severity", m.Severity.String()),
			slog.String("title", m.Title), slog.String("text", strings.ReplaceAll(m.Text, "\n", " ")),
		}
		if len(m.Next) > 0 {
			attrs = append(attrs, slog.String("next", strings.Join(m.Next, "; ")))
		}
		log.LogAttrs(ctx, level, "alert", attrs...)
		return "written", nil
	}
}
