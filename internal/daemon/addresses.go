package daemon

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/config"
	"tlsratchet/milter/wire"
)

// addresses looks at where serve is to have its history and to listen. Wrong is
// what is not of this host, or has no folder; warnings are of what another process
// has, and of sockets that systemd would not pass. Unix sockets are not tried: to
// connect could start the service that systemd holds them for.
func (f *findings) addresses(ctx context.Context) {
	if !f.cfg.InMemory() {
		f.place("history", f.cfg.History, 0, "a regular file")
	}
	var taken []config.Address
	for _, at := range f.cfg.Addresses() {
		switch at.Network {
		case wire.NetworkUnix:
			f.place(at.Key, at.Address, fs.ModeSocket, "a socket")
		case wire.NetworkTCP:
			if f.isTaken(at) {
				taken = append(taken, at)
			}
		case wire.NetworkSystemd:
			shown, err := unit(socketUnit, "ActiveState")
			unknown := err != nil && !errors.Is(err, exec.ErrNotFound)
			if at.Key == "listen" && !unknown && shown.Get("ActiveState") != "active" {
				f.warn(at.Key, "systemd passes no sockets while %s is not active: systemctl enable --now %[1]s", socketUnit)
			}
		}
	}
	for _, at := range someoneElses(ctx, f.cfg, taken) {
		f.warn(at.Key, "another process has %s: serve could not listen there", at.Address)
	}
}

// place looks at one path: at what is there, or else at its folder, which is
// reported once. The default folders need not be there: serve makes them.
func (f *findings) place(key, path string, want fs.FileMode, words string) {
	if info, err := os.Stat(path); err == nil && info.Mode().Type() != want {
		f.wrong(key, "%s is not %s", path, words)
	}
	folder := filepath.Dir(path)
	if folder == filepath.Dir(config.DefaultSocket) || folder == filepath.Dir(config.DefaultHistory) || slices.Contains(f.missing, folder) {
		return
	}
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		f.missing = append(f.missing, folder)
		f.wrong(key, "there is no folder %s", folder)
	}
}

// isTaken reports whether another process listens on an address; it listens there
// for a moment.
func (f *findings) isTaken(at config.Address) bool {
	opened, err := wire.Listen(at.Spec, wire.ListenOptions{})
	switch {
	case err == nil:
		opened[0].Close()
	case errors.Is(err, syscall.EADDRINUSE):
		return true
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
		host, _, _ := net.SplitHostPort(at.Address)
		f.wrong(at.Key, "%s is no address of this host", host)
	case !errors.Is(err, fs.ErrPermission): // the service may have the port
		f.wrong(at.Key, "%w", err)
	}
	return false
}

// someoneElses returns those of the addresses that are not our own daemon's, as far
// as that can be asked.
func someoneElses(ctx context.Context, cfg *config.Config, taken []config.Address) []config.Address {
	if len(taken) == 0 || cfg.AdminSocket() == "" {
		return nil
	}
	daemon, err := admin.Dial(ctx, cfg.AdminSocket())
	if errors.Is(err, admin.ErrNoDaemon) {
		return taken
	}
	if err != nil {
		return nil
	}
	defer daemon.Close()
	s, err := daemon.Summary(ctx)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(taken, func(at config.Address) bool { return slices.Contains(s.Listeners, at.String()) })
}
