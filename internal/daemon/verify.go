package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"tlsratchet/internal/account"
	"tlsratchet/internal/config"
	"tlsratchet/milter/wire"
)

// findings are what is wrong with a configuration, and what may be.
type findings struct {
	cfg      *config.Config
	warnings []string
	errs     []error
	missing  []string // folders
}

func (f *findings) wrong(key, format string, args ...any) {
	f.errs = append(f.errs, f.cfg.At(key, fmt.Errorf(format, args...)))
}

func (f *findings) warn(key, format string, args ...any) {
	f.warnings = append(f.warnings, f.cfg.At(key, fmt.Errorf(format, args...)).Error())
}

// Verify looks at what a configuration refers to beside itself: secrets,
// templates, authorities, groups, folders, addresses. The error is what serve refuses
// or leaves out. The warnings are what may be right where or when the service runs:
// variables and systemd's credentials, which this process need not have, and
// addresses that are taken now.
func Verify(ctx context.Context, cfg *config.Config) (warnings []string, err error) {
	f := &findings{cfg: cfg}
	f.addresses(ctx)
	f.secrets()
	_, err = socketGroup(cfg)
	f.errs = append(f.errs, err)
	group, err := groupID(cfg, "admin.group", cfg.Admin.Group)
	f.errs = append(f.errs, err)
	if w := adminUnreachable(cfg, group); w != nil {
		f.warnings = append(f.warnings, w.Error())
	}
	f.warnings = append(f.warnings, tooManyConnections(cfg, serviceDescriptors())...)
	return f.warnings, errors.Join(f.errs...)
}

// serviceDescriptors is how many file descriptors the service may have: by its unit, or
// where there is none as many as this process.
func serviceDescriptors() uint64 {
	shown, _ := unit(serviceUnit, "LoadState", "LimitNOFILE")
	if shown.Get("LoadState") != "loaded" {
		return ownDescriptors()
	}
	limit, err := strconv.ParseUint(shown.Get("LimitNOFILE"), 10, 64)
	if err != nil { // infinity
		return math.MaxUint64
	}
	return limit
}

func ownDescriptors() uint64 {
	var limit syscall.Rlimit
	_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) // which can't fail
	return uint64(limit.Cur)
}

// tooManyConnections warns where limits.connections may take more file descriptors than
// there are. A client that there is none for waits, and its mail with it; one above the
// limit does not.
func tooManyConnections(cfg *config.Config, descriptors uint64) (warnings []string) {
	needed := uint64(256) // for all else
	for _, where := range [][]wire.Spec{cfg.Listen, cfg.PolicyService.Listen, cfg.OutboundListen()} {
		each := 0
		for _, at := range where {
			each = max(each, at.Descriptors())
		}
		needed += uint64(each * cfg.Limits.Connections)
	}
	if needed > descriptors {
		const format = "%d connections for each kind of listener may take %d file descriptors, and the service may have %d: lower this, or raise LimitNOFILE= in its unit (ulimit -n without systemd)"
		warnings = append(warnings, cfg.At("limits.connections", fmt.Errorf(format, cfg.Limits.Connections, needed, descriptors)).Error())
	}
	return warnings
}

// secrets looks at what alerts and the shared server need.
func (f *findings) secrets() {
	cfg, away := withoutCredentials(f.cfg)
	for _, path := range away {
		f.warnings = append(f.warnings, path+" can't be read here: systemd gives it to the service alone")
	}
	getenv := func(name string) (string, bool) {
		if value, ok := os.LookupEnv(name); ok {
			return value, true
		}
		if w := fmt.Sprintf("the variable %s is not set here: the service needs it", name); !slices.Contains(away, name) && !slices.Contains(f.warnings, w) {
			f.warnings = append(f.warnings, w)
		}
		return "https://variable.invalid", true
	}
	_, err := Destinations(cfg, getenv, slog.New(slog.DiscardHandler))
	f.errs = append(f.errs, err)
	if cfg.Shared.URL != "" {
		_, err = readRoots(cfg)
		f.errs = append(f.errs, err)
		if _, err = cfg.Shared.Password(); err != nil {
			f.wrong("shared_password_file", "%w", err)
		}
	}
}

// credentials is the folder of what LoadCredential= gives to services. A process
// that systemd starts for a reload can't enter it, nor can anybody while the
// service is stopped.
const credentials = "/run/credentials/"

// withoutCredentials returns the configuration without the credentials that can't
// be read here, and lists them. References become variables of the same names.
func withoutCredentials(cfg *config.Config) (without *config.Config, away []string) {
	c := *cfg
	c.Destinations = slices.Clone(cfg.Destinations)
	for _, file := range files(&c) {
		path, isReference := strings.CutPrefix(*file, "file:")
		if !strings.HasPrefix(path, credentials) {
			continue
		}
		if _, err := os.ReadFile(path); err == nil {
			continue
		}
		away = append(away, path)
		if *file = ""; isReference {
			*file = "env:" + path
		}
	}
	return &c, away
}

// files returns where a configuration may name a file for reading, as a path or
// as a reference.
func files(c *config.Config) []*string {
	all := []*string{&c.Shared.PasswordFile, &c.Shared.RootsFile}
	for i := range c.Destinations {
		d := &c.Destinations[i]
		all = append(all, &d.URL, &d.Secret, &d.Token, &d.Body)
	}
	return all
}

// adminUnreachable returns why the group of the admin socket can't reach it; nil
// if it can, or there is none.
func adminUnreachable(cfg *config.Config, group int) error {
	path := cfg.AdminSocket()
	if path == "" || cfg.Admin.Group == "" || group < 0 {
		return nil
	}
	folder := account.InGroup(group).Blocked(filepath.Dir(path) + "/.")
	if folder == "" {
		return nil
	}
	return cfg.At("admin.group", fmt.Errorf("the group %s can't enter %s: set admin.socket to a path in a folder that it may enter", cfg.Admin.Group, folder))
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
	named := []string{file}
	for _, f := range files(cfg) {
		if path := strings.TrimPrefix(*f, "file:"); filepath.IsAbs(path) {
			named = append(named, path)
		}
	}
	for _, path := range slices.Compact(slices.Sorted(slices.Values(named))) {
		// Who reads a credential is in its access list, not in its mode.
		at := service.Blocked(path)
		if at == "" || strings.HasPrefix(path, credentials) {
			continue
		}
		if at != path {
			path += ", because it can't enter " + at
		}
		all = append(all, fmt.Sprintf("the service runs as the user %s, who can't read %s: change the owner or mode, or pass it with LoadCredential=", service.Name, path))
	}
	return all
}

// serviceAccount returns the user of tlsratchet's systemd service, if there is
// one. A dynamic user that systemd has not made yet is in no group.
func serviceAccount() (a account.Account, ok bool) {
	shown, _ := unit(serviceUnit, "LoadState", "User")
	name := shown.Get("User")
	if shown.Get("LoadState") != "loaded" || name == "" || name == "root" {
		return a, false
	}
	a, _ = account.Lookup(name)
	return a, true
}
