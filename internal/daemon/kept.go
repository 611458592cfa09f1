package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tlsratchet/internal/config"
)

// kept is a small file beside the history that outlives a restart. No decision
// rests on it. The zero value keeps nothing, as where the history is in memory
// alone.
type kept struct{ path string }

func keptBeside(cfg *config.Config, name string) kept {
	if cfg.InMemory() {
		return kept{}
	}
	return kept{filepath.Join(filepath.Dir(cfg.History), name)}
}

// read reads the file into v, which stays as it is where there is none.
func (k kept) read(v any) error {
	if k.path == "" {
		return nil
	}
	b, err := os.ReadFile(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", k.path, err)
	}
	return nil
}

// write replaces the file whole.
func (k kept) write(v any) error {
	if k.path == "" {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	next := k.path + ".new"
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return err
	}
	return os.Rename(next, k.path)
}
