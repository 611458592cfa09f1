package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"tlsratchet/internal/config"
	"tlsratchet/internal/statefile"
	"tlsratchet/tlsstate/store"
)

// MakeHistory makes an empty history where there is none, for what is learned
// before the daemon's first start. It belongs to whom its folder belongs to.
func MakeHistory(cfg *config.Config) error {
	if cfg.InMemory() {
		return nil
	}
	if _, err := os.Stat(cfg.History); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := makeDefaultFolder(cfg.History, config.DefaultHistory, 0o700); err != nil {
		return err
	}
	made, err := statefile.Open(cfg.History, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = made.Close()
	}
	if err != nil {
		return fmt.Errorf("make the history: %w", err)
	}
	file, err := store.Open(cfg.History, store.Options{}) // fills it
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		return fmt.Errorf("make the history: %w", err)
	}
	return nil
}
