package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tlsratchet/internal/selfcheck"
	"tlsratchet/tlsstate"
)

// Options are what the daemon is told, as far as the checks need it.
type Options struct {
	// Sockets are the paths of the unix sockets that it listens on, and other
	// listeners as Postfix names them: inet:127.0.0.1:8891.
	Sockets []string
	// History is the memory's file, or empty.
	History string
	// MX is our own MX for the self-check, host:port, or empty.
	MX string
	// Shared says that the memory is shared between MX hosts.
	Shared bool
	// Newest is the newest day in the memory, as 2026-11-21; "" if not known.
	Newest string
	// Now is the time.
	Now time.Time
}

// Check runs all checks.
func Check(ctx context.Context, p *Postfix, o Options) []Finding {
	var all []Finding
	all = append(all, p.milterChecks(o.Sockets)...)
	for _, path := range o.Sockets {
		if filepath.IsAbs(path) {
			all = append(all, p.socketCheck(path))
		}
	}
	all = append(all, p.tlsChecks()...)
	all = append(all, p.filterChecks()...)
	if o.MX != "" {
		all = append(all, mxChecks(ctx, o)...)
	}
	all = append(all, othersCheck(ctx, p, o)...)
	return append(all, memoryChecks(o)...)
}

// socketCheck tells whether Postfix's user gets into the socket.
func (p *Postfix) socketCheck(path string) Finding {
	const check = "socket"
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return broken(check, fmt.Sprintf("%s is not there: does the daemon run?", path), "systemctl status tlsratchet")
	case err != nil:
		return broken(check, err.Error(), "")
	}
	owner := p.main["mail_owner"]
	u, err := user.Lookup(owner)
	if err != nil {
		return note(check, fmt.Sprintf("mail_owner = %s: %v", owner, err), "")
	}
	if !mayWrite(info, u) {
		return broken(check, fmt.Sprintf("%s (%s) doesn't let Postfix's user %s in", path, info.Mode(), owner),
			"in tlsratchet.toml, under [socket]: group = \""+owner+"\"")
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return broken(check, fmt.Sprintf("nobody answers on %s: %v", path, err), "systemctl status tlsratchet")
	}
	conn.Close()
	return fine(check, fmt.Sprintf("%s answers, and lets %s in", path, owner))
}

func mayWrite(info fs.FileInfo, u *user.User) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	mode := info.Mode().Perm()
	switch {
	case strconv.FormatUint(uint64(stat.Uid), 10) == u.Uid:
		return mode&0o200 != 0
	case strconv.FormatUint(uint64(stat.Gid), 10) == u.Gid:
		return mode&0o020 != 0
	}
	return mode&0o002 != 0
}

// mxChecks asks our own MX, as a peer would.
func mxChecks(ctx context.Context, o Options) []Finding {
	const check = "own mx"
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var d net.Dialer
	r := selfcheck.Probe(ctx, d.DialContext, o.MX)
	switch {
	case !r.Reachable:
		return []Finding{note(check, fmt.Sprintf("%s doesn't answer: %v", o.MX, r.Err), "")}
	case r.Err != nil:
		return []Finding{broken(check, fmt.Sprintf("%s: %v", o.MX, r.Err), "postconf -n | grep smtpd_tls")}
	}
	left := int(r.CertNotAfter.Sub(o.Now).Hours() / 24)
	text := fmt.Sprintf("%s offers STARTTLS (%s), its certificate ends in %d days", o.MX, r.Version, left)
	switch {
	case left < 0:
		return []Finding{broken(check, text, "renew the certificate")}
	case left < 14:
		return []Finding{note(check, text, "renew the certificate")}
	}
	return []Finding{fine(check, text)}
}

// othersCheck looks for MX hosts that don't share the memory: a peer that is
// refused here walks there.
func othersCheck(ctx context.Context, p *Postfix, o Options) []Finding {
	const check = "other mx"
	domain := p.main["mydomain"]
	if o.Shared || domain == "" || !strings.Contains(domain, ".") {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	hosts, err := net.DefaultResolver.LookupMX(ctx, domain)
	if err != nil || len(hosts) < 2 {
		return nil // not to be known, or none
	}
	return []Finding{note(check, fmt.Sprintf("%s has %d MX hosts, and the memory is not shared: who is refused here is taken there", domain, len(hosts)), "in tlsratchet.toml: see docs/several-mx.md")}
}

// memoryChecks look at the history's file, the disk and the clock.
func memoryChecks(o Options) []Finding {
	if o.History == "" {
		return []Finding{note("memory", "the history is kept in memory alone: a restart forgets all", "in tlsratchet.toml: history = \"/var/lib/tlsratchet/history.db\"")}
	}
	info, err := os.Stat(o.History)
	if err != nil {
		return []Finding{note("memory", fmt.Sprintf("no history yet: %v", err), "")}
	}
	all := []Finding{fine("memory", fmt.Sprintf("%s, %d KiB", o.History, info.Size()>>10))}
	if info.Mode().Perm()&0o077 != 0 {
		all = append(all, note("memory", fmt.Sprintf("%s is %s: it names your peers", o.History, info.Mode()), "chmod 0600 "+o.History))
	}
	if free, err := freeBytes(filepath.Dir(o.History)); err == nil && free < max(2*info.Size(), 64<<20) {
		all = append(all, broken("disk", fmt.Sprintf("%d MiB are free where the history is, and a copy of it needs %d", free>>20, info.Size()>>20), ""))
	}
	// Days in this form compare as texts.
	if today := tlsstate.DayOf(o.Now); o.Newest != tlsstate.Day(0).String() && o.Newest > (today+1).String() {
		all = append(all, broken("clock", fmt.Sprintf("the newest record is of %s, and today is %s", o.Newest, today), "timedatectl status"))
	}
	return all
}
