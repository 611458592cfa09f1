package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"tlsratchet/internal/config"
	"tlsratchet/milter/wire"
)

// places returns why serve can't have its sockets or its history where the
// configuration wants them. The default folders need not be there: serve makes
// them.
func places(cfg *config.Config) error {
	var errs []error
	for _, l := range slices.Concat(cfg.Listen, cfg.PolicyService.Listen, cfg.Outbound.Listen) {
		if l.Network == wire.NetworkUnix {
			errs = append(errs, place("listen on "+l.String(), l.Address, fs.ModeSocket, "this file is not a socket"))
		}
	}
	if path := cfg.AdminSocket(); path == cfg.Admin.Socket && path != "" { // else it is beside the history
		errs = append(errs, place("admin.socket", path, fs.ModeSocket, path+" is not a socket"))
	}
	if !cfg.InMemory() {
		errs = append(errs, place("history", cfg.History, 0, cfg.History+" is not a regular file"))
	}
	return errors.Join(errs...)
}

// place looks at one path: at what is there, or else at its folder.
func place(what, path string, want fs.FileMode, other string) error {
	if info, err := os.Stat(path); err == nil && info.Mode().Type() != want {
		return fmt.Errorf("%s: %s", what, other)
	}
	folder := filepath.Dir(path)
	if folder == filepath.Dir(config.DefaultSocket) || folder == filepath.Dir(config.DefaultHistory) {
		return nil
	}
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: there is no folder %s", what, folder)
	}
	return nil
}
