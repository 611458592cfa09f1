package config

import (
	"fmt"
	"path/filepath"
)

// Admin is where the commands find the daemon.
type Admin struct {
	// Socket is a clean absolute path, [Off], or "" for admin.sock in the
	// history's folder: see [Config.AdminSocket].
	Socket string
	// Group is the name or number of the group that may use it beside its
	// owner; "" for that of the daemon.
	Group string
}

func adminSettings() []setting[Config] {
	return []setting[Config]{
		word("admin.socket", func(c *Config) *string { return &c.Admin.Socket }, parseAdminSocket, same),
		word("admin.group", func(c *Config) *string { return &c.Admin.Group }, parseGroup, same),
	}
}

func parseAdminSocket(s string) (string, error) {
	if s == "" || s == Off {
		return s, nil
	}
	path, err := parsePath(s)
	if err == nil && len(path) > maxSocketPath {
		err = fmt.Errorf("a socket's path has at most %d bytes, this one %d", maxSocketPath, len(path))
	}
	return path, err
}

// AdminSocket returns the path of the daemon's socket for commands, or "" where
// there is none: it is off, or the history has no folder.
func (c *Config) AdminSocket() string {
	switch {
	case c.Admin.Socket == Off:
		return ""
	case c.Admin.Socket != "":
		return c.Admin.Socket
	case c.InMemory():
		return ""
	}
	return filepath.Join(filepath.Dir(c.History), "admin.sock")
}
