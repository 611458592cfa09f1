package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"

	"tlsratchet/internal/config"
	"tlsratchet/milter/wire"
)

// postfixSockets returns what sockets for Postfix look like.
func postfixSockets(cfg *config.Config) (wire.ListenOptions, error) {
	group, err := socketGroup(cfg.Socket.Group)
	return wire.ListenOptions{Mode: cfg.Socket.Mode, Group: group}, err
}

// socketGroup returns the group id for a socket, or -1 to leave it be. Where
// none is configured it is Postfix's, whose smtpd must get in, if we may give
// the socket away.
func socketGroup(name string) (int, error) {
	if name == "" {
		if g, err := user.LookupGroup("postfix"); err == nil && mayGive(g.Gid) {
			return strconv.Atoi(g.Gid)
		}
		return -1, nil
	}
	return groupID("socket.group", name)
}

// adminGroup returns the group id for the admin socket, or -1 for the daemon's
// own.
func adminGroup(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	return groupID("admin.group", name)
}

// groupID returns the number of a group that a key of the configuration names.
func groupID(key, name string) (int, error) {
	if id, err := strconv.Atoi(name); err == nil {
		return id, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return -1, ConfigError{fmt.Errorf("%s: %w", key, err)}
	}
	return strconv.Atoi(g.Gid)
}

// mayGive reports whether we may give a file to the group.
func mayGive(gid string) bool {
	if os.Geteuid() == 0 {
		return true
	}
	groups, err := os.Getgroups()
	return err == nil && slices.ContainsFunc(groups, func(g int) bool { return strconv.Itoa(g) == gid })
}

// makeDefaultFolder makes the folder of a default path, so that serve runs with
// no configuration at all. A folder that somebody names must be there.
func makeDefaultFolder(path, byDefault string, mode fs.FileMode) error {
	if path != byDefault {
		return nil
	}
	if err := os.Mkdir(filepath.Dir(path), mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the folder of %s: %w", path, err)
	}
	return nil
}
