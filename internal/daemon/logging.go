package daemon

import (
	"io"
	"log/slog"

	"tlsratchet/internal/config"
)

// NewLogger returns a logger in the configured format. Its level may be changed
// while it runs. Under systemd the journal has the time already, and so it has
// under every service manager that people use; but a trial's terminal has not.
func NewLogger(w io.Writer, cfg *config.Config, level *slog.LevelVar) *slog.Logger {
	level.Set(cfg.Log.Level)
	options := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == config.LogJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
