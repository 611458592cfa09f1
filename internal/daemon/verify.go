package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tlsratchet/internal/config"
)

// Verify looks at what a configuration refers to beside itself: secrets,
// templates, authorities, groups. The error is what serve refuses or leaves out.
// The warnings are what may be right where the service runs: variables, which
// this process need not have.
func Verify(cfg *config.Config) (warnings []string, err error) {
	var errs []error
	unset := func(name string) (string, bool) {
		value, ok := os.LookupEnv(name)
		if !ok {
			warnings = append(warnings, fmt.Sprintf("the variable %s is not set here: the service needs it", name))
			value = "https://variable.invalid"
		}
		return value, true
	}
	_, err = destinations(cfg, unset, slog.New(slog.DiscardHandler))
	errs = append(errs, err)
	if cfg.Shared.URL != "" {
		_, err = readRoots(cfg.Shared.RootsFile)
		errs = append(errs, err)
		_, err = cfg.Shared.Password()
		errs = append(errs, err)
	}
	_, err = socketGroup(cfg.Socket.Group)
	errs = append(errs, err)
	group, err := adminGroup(cfg.Admin.Group)
	if w := adminUnreachable(cfg, group); w != "" {
		warnings = append(warnings, w)
	}
	return warnings, errors.Join(append(errs, err)...)
}

// adminUnreachable returns why the group of the admin socket can't reach it; ""
// if it can, or there is none.
func adminUnreachable(cfg *config.Config, group int) string {
	path := cfg.AdminSocket()
	if path == "" || cfg.Admin.Group == "" || group < 0 {
		return ""
	}
	folder := account{uid: -1, gids: []int{group}}.blocked(filepath.Dir(path) + "/.")
	if folder == "" {
		return ""
	}
	return fmt.Sprintf("admin.group: the group %s can't enter %s: set admin.socket to a path in a folder that it may enter", cfg.Admin.Group, folder)
}

// Unreadable lists the files that a configuration names, and its own, which the
// user of a systemd service can't read; for root, who can read them all.
func Unreadable(cfg *config.Config, file string) (all []string) {
	if os.Geteuid() != 0 {
		return nil
	}
	service, ok := serviceAccount()
	if !ok {
		return nil
	}
	for _, path := range slices.Compact(slices.Sorted(slices.Values(append(referred(cfg), file)))) {
		if at := service.blocked(path); path != "" && at != "" {
			all = append(all, fmt.Sprintf("the service runs as the user %s, who can't read %s (%s): change its owner or mode, or pass it with LoadCredential=", service.name, path, at))
		}
	}
	return all
}

// referred returns the files that a configuration names for reading.
func referred(cfg *config.Config) []string {
	all := []string{cfg.Shared.PasswordFile, cfg.Shared.RootsFile}
	for _, d := range cfg.Destinations {
		all = append(all, d.Body)
		for _, ref := range []string{d.URL, d.Secret, d.Token} {
			if path, ok := strings.CutPrefix(ref, "file:"); ok {
				all = append(all, path)
			}
		}
	}
	return all
}
