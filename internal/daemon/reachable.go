package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"syscall"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/config"
	"tlsratchet/milter/wire"
)

// reachable looks at the addresses on which serve is to listen: the error names
// those that are not of this host; the warnings, those that another process has,
// and sockets that systemd would not pass. Unix sockets are not tried: to connect
// could start the service that systemd holds them for.
func reachable(ctx context.Context, cfg *config.Config) (warnings []string, err error) {
	var errs []error
	var taken []config.Address
	for _, at := range cfg.Addresses() {
		switch at.Network {
		case wire.NetworkTCP:
			isTaken, err := tryTCP(at)
			errs = append(errs, err)
			if isTaken {
				taken = append(taken, at)
			}
		case wire.NetworkSystemd:
			if at.Key == "listen" && unit("tlsratchet.socket", "ActiveState")["ActiveState"] != "active" {
				warnings = append(warnings, "listen: systemd passes no sockets while tlsratchet.socket is not active: systemctl enable --now tlsratchet.socket")
			}
		}
	}
	for _, at := range someoneElses(ctx, cfg, taken) {
		warnings = append(warnings, fmt.Sprintf("%s: another process has %s: serve could not listen there", at.Key, at.Address))
	}
	return warnings, errors.Join(errs...)
}

// tryTCP listens on an address, for a moment.
func tryTCP(at config.Address) (taken bool, err error) {
	opened, err := wire.Listen(at.Spec, wire.ListenOptions{})
	switch {
	case err == nil:
		return false, opened[0].Close()
	case errors.Is(err, syscall.EADDRINUSE):
		return true, nil
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
		host, _, _ := net.SplitHostPort(at.Address)
		return false, fmt.Errorf("%s: %s is no address of this host", at.Key, host)
	case errors.Is(err, fs.ErrPermission): // the service may have the port
		return false, nil
	}
	return false, fmt.Errorf("%s: %w", at.Key, err)
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
