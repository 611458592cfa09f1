package config

import (
	"io/fs"
	"log/slog"
	"net/netip"
	"path/filepath"
	"time"

	"tlsratchet/milter/wire"
)

// Off, as the address of something, leaves it out.
const Off = "off"

// The values of [Log.Format].
const (
	LogText = "text"
	LogJSON = "json"
)

// Socket is how unix sockets are made.
type Socket struct {
	// Mode is the permissions, 0600 to 0777.
	Mode fs.FileMode
	// Group is the name or number of the group that owns it; "" for that of
	// the daemon. Whether there is such a group is not checked here.
	Group string
}

// Log is what is logged, and how.
type Log struct {
	// Format is [LogText] or [LogJSON].
	Format string
	Level  slog.Level
}

// Limits bound what the daemon may take.
type Limits struct {
	// Connections is how many connections are served at once.
	Connections int
	// Idle is how long a connection may be silent.
	Idle time.Duration
	// Drain is how long connections are waited for at a stop; 0 for not at all.
	Drain time.Duration
	// Read is how long one read of the history may take. One that takes longer
	// ends the decision, and the message is accepted.
	Read time.Duration
	// Cache is how many identities are kept in memory.
	Cache int
	// Identities is how many the history file may hold.
	Identities int
}

// Alert is what is reported, and how often, beside the [[destination]] rows.
type Alert struct {
	// Log is the least severity that is logged, or [Off].
	Log string
	// PerHour is how many messages an hour are sent one by one.
	PerHour int
}

// Status is where the metrics and the page are.
type Status struct {
	// Listen is host:port, or [Off].
	Listen string
	// Names are the host names, in lower case, that browsers and scrapers may
	// call it by, beside the address itself and localhost.
	Names []string
}

// SPF is how senders are proven.
type SPF struct {
	// On reports whether they are.
	On bool
	// Resolver is the DNS resolver that is asked; the zero value for the
	// system's.
	Resolver netip.AddrPort
	// Timeout is how long a session in clear may wait for a proof.
	Timeout time.Duration
}

// PolicyService is Postfix's policy delegation, beside the milter.
type PolicyService struct {
	// Listen is where Postfix asks: empty for nowhere.
	Listen []wire.Spec
}

// Admin is where the commands find the daemon.
type Admin struct {
	// Socket is a clean absolute path, [Off], or "" for admin.sock in the
	// history's folder: see [Config.AdminSocket].
	Socket string
	// Group is the name or number of the group that may use it beside its
	// owner; "" for that of the daemon.
	Group string
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
