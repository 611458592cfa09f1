package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"tlsratchet/internal/config"
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
	file, err := store.Open(cfg.History, store.Options{})
	if err != nil {
		return fmt.Errorf("make the history: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("make the history: %w", err)
	}
	folder, err := os.Stat(filepath.Dir(cfg.History))
	if err != nil {
		return fmt.Errorf("make the history: %w", err)
	}
	if owner, ok := folder.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		return os.Lchown(cfg.History, int(owner.Uid), int(owner.Gid))
	}
	return nil
}
