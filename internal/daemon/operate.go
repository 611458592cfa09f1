package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/config"
	"tlsratchet/internal/incident"
	"tlsratchet/internal/statefile"
	"tlsratchet/tlsstate/store"
)

// Operate returns the operations of the daemon that runs with this configuration. Where
// none runs, they work on its history, if absent, such as [MustExist], allows that.
func Operate(ctx context.Context, cfg *config.Config, stderr io.Writer, absent func(*config.Config) error) (*admin.Admin, error) {
	if socket := cfg.AdminSocket(); socket != "" {
		client, err := admin.Dial(ctx, socket)
		if err == nil {
			return client, nil
		}
		if !errors.Is(err, admin.ErrNoDaemon) {
			return nil, err
		}
	}
	if cfg.InMemory() {
		return nil, errors.New("no daemon answers, and the history is kept in memory alone: set admin.socket in its configuration")
	}
	if err := absent(cfg); err != nil {
		return nil, err
	}
	return openFile(cfg, stderr)
}

// MustExist allows work on a history that is there.
func MustExist(cfg *config.Config) error {
	switch info, err := os.Stat(cfg.History); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no daemon answers, and there is no history at %s: name it by --history or --config", cfg.History)
	case err == nil && info.Size() == 0:
		return fmt.Errorf("no daemon answers, and %s is empty: it is not a history; name another by --history or --config", cfg.History)
	}
	return nil
}

// MustRun is for what only a daemon that runs has. The error wraps [admin.ErrNoDaemon].
func MustRun(cfg *config.Config) error {
	return fmt.Errorf("%w on %s: this command needs a daemon", admin.ErrNoDaemon, cmp.Or(cfg.AdminSocket(), "no socket, because admin.socket is off"))
}

// openFile works on the history's file.
func openFile(cfg *config.Config, stderr io.Writer) (*admin.Admin, error) {
	log := NewLogger(stderr, cfg, &slog.LevelVar{})
	file, err := store.Open(cfg.History, storeOptions(cfg, func() *config.Config { return cfg }, log))
	if errors.Is(err, store.ErrLocked) {
		return nil, fmt.Errorf("%s is in use, by a command, or by a daemon that doesn't answer on its socket for commands: give the configuration that it runs with: %w", cfg.History, err)
	}
	if errors.Is(err, store.ErrDamaged) {
		err = fmt.Errorf("%w: start the daemon, which sets it aside and goes on with the newest snapshot", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open the history: %w", admin.WhoMay(err))
	}
	book, err := incident.Read(incident.Options{File: stateFile(cfg, "incidents.json"), Log: log})
	if err != nil {
		log.Error("incidents are not available", "error", err)
	}
	a := (&admin.Local{Memory: file, Rules: cfg.RulesFor, Now: time.Now, Log: log, Book: book}).Admin()
	a.Close, a.Alone = file.Close, true
	return a, nil
}

// MayStart allows work on any history. Where there is none it makes an empty one, for
// what is learned before the daemon's first start. The file gets the owner of its
// folder.
func MayStart(cfg *config.Config) error {
	if err := makeDefaultFolder(cfg.History, config.DefaultHistory, 0o700); err != nil {
		return err
	}
	made, err := statefile.Open(cfg.History, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		err = made.Close()
	}
	if err != nil {
		return fmt.Errorf("make the history: %w", admin.WhoMay(err))
	}
	return nil
}
