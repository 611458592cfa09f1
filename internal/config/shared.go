package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

// SharedPassword is the variable that holds the password of the shared server,
// where no file does. It is in no file of ours and is never written.
const SharedPassword = "TLSRATCHET_SHARED_PASSWORD"

// Shared is the server where the memories of several hosts meet.
type Shared struct {
	// URL is where it is, in the form of valkey-go; "" for none.
	URL string
	// PasswordFile and RootsFile are clean absolute paths, or "": of the file
	// that holds the password, and of the authorities of its certificate in
	// PEM.
	PasswordFile, RootsFile string
	// Timeout is how long a message may wait for it.
	Timeout time.Duration
	// Insecure allows connections in clear to another host.
	Insecure bool
}

// Password returns the password of the shared server, from the file or the
// variable; "" where there is none. It may be another each time.
func (s Shared) Password() (string, error) {
	if s.PasswordFile == "" {
		return os.Getenv(SharedPassword), nil
	}
	data, err := os.ReadFile(s.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

// parseShared parses the address of a server. It may hold what is secret, so
// that errors don't show it.
func parseShared(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	want := fmt.Errorf("unknown server: use valkey://host:port, valkeys://host:port for TLS, or unix:///path, as in docs/several-mx.md")
	u, err := url.Parse(s)
	if err != nil || u.Opaque != "" || u.Fragment != "" {
		return "", want
	}
	if _, ok := u.User.Password(); ok {
		return "", fmt.Errorf("no password belongs here: use shared_password_file, or %s", SharedPassword)
	}
	switch u.Scheme {
	case "unix":
		err = checkSharedSocket(u)
	case "valkey", "valkeys", "redis", "rediss":
		err = checkSharedServer(u)
	default:
		return "", want
	}
	return s, err
}

// checkSharedPrivate refuses a server on another host without TLS: whoever is on
// the way there reads the password, and can make up what all hosts remember.
func (l *loader) checkSharedPrivate() {
	u, err := url.Parse(l.config.Shared.URL)
	if err != nil || l.config.Shared.Insecure || u.Scheme != "valkey" && u.Scheme != "redis" {
		return
	}
	for _, host := range append([]string{u.Host}, u.Query()["addr"]...) {
		name := (&url.URL{Host: host}).Hostname()
		if ip, _ := netip.ParseAddr(name); name != "localhost" && !ip.Unmap().IsLoopback() { // the connection leaves this host
			l.at("shared", fmt.Errorf("%s is another host and the connection is in clear: use valkeys://, or set shared_insecure = true", shown(name)))
			return
		}
	}
}

func checkSharedSocket(u *url.URL) error {
	if u.Host != "" || !path.IsAbs(u.Path) {
		return errors.New("want the absolute path of a socket, as unix:///run/valkey/valkey.sock")
	}
	for key, values := range u.Query() {
		if key != "db" || len(values) != 1 || !isNumber(values[0]) {
			return fmt.Errorf("unknown ?%s: use ?db=number", shown(key))
		}
	}
	return nil
}

func checkSharedServer(u *url.URL) error {
	hosts := []string{u.Host}
	if u.Port() == "" {
		hosts[0] = u.Host + ":6379"
	}
	if db := strings.TrimPrefix(u.Path, "/"); u.Path != "" && u.Path != "/" && !isNumber(db) {
		return fmt.Errorf("database %s: want a number, as valkey://host:port/1", shown(db))
	}
	for key, values := range u.Query() {
		switch {
		case key == "addr":
			hosts = append(hosts, values...)
		case key == "master_set" && len(values) == 1 && values[0] != "":
		default:
			return fmt.Errorf("unknown ?%s: use addr=host:port for more nodes, and master_set=name for Sentinel", shown(key))
		}
	}
	for _, h := range hosts {
		if _, err := hostPort("")(h); err != nil {
			return fmt.Errorf("unknown server %s: want host:port, as 192.0.2.25:6379 or [2001:db8::25]:6379", shown(h))
		}
	}
	return nil
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}
