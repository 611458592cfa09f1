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

	"tlsratchet/internal/admin"
	"tlsratchet/internal/config"
)

// socketGroup returns the group id for a socket, or -1 to leave it as it is. Where
// none is configured it is Postfix's, because smtpd must get in, if we may give
// the socket away.
func socketGroup(cfg *config.Config) (int, error) {
	if cfg.Socket.Group == "" {
		if g, err := user.LookupGroup("postfix"); err == nil && mayGive(g.Gid) {
			return strconv.Atoi(g.Gid)
		}
	}
	return groupID(cfg, "socket.group", cfg.Socket.Group)
}

// groupID returns the number of a group that a key of the configuration names; -1
// for "".
func groupID(cfg *config.Config, key, name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	if id, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(id), nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return -1, ConfigError{cfg.At(key, err)}
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
	folder := filepath.Dir(path)
	err := os.Mkdir(folder, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		err = os.Chmod(folder, mode) // whatever the umask
	}
	if err != nil {
		return fmt.Errorf("make the folder of %s: %w", path, admin.WhoMay(err))
	}
	return nil
}
