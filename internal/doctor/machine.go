package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tlsratchet/internal/account"
	"tlsratchet/internal/incident"
	"tlsratchet/internal/selfcheck"
	"tlsratchet/tlsstate"
)

// Options are the daemon's settings and state, as far as the checks need them.
type Options struct {
	// Sockets are the paths of the unix sockets that it listens on, and other
	// listeners as Postfix names them: inet:127.0.0.1:8891.
	Sockets []string
	// PolicySockets are those of the policy service, likewise; none if it is off.
	PolicySockets []string
	// Fingerprints: certificates are known by their fingerprints.
	Fingerprints bool
	// Sending is the sending side.
	Sending Sending
	// History is the memory's file, or empty.
	History string
	// MX is our own MX for the self-check, host:port, or empty.
	MX string
	// Shared: the memory is shared between MX hosts.
	Shared bool
	// Running: the daemon answered a command.
	Running bool
	// Trouble states what is wrong with that file, a line each.
	Trouble string
	// Newest is the newest day in the memory, as 2026-11-21; "" if not known.
	Newest string
	// Tally counts the messages of each day.
	Tally incident.Tally
	// Now is the time.
	Now time.Time
}

// Check runs all checks.
func Check(ctx context.Context, p *Postfix, o Options) []Finding {
	return slices.Concat(
		p.milterChecks(o.Sockets, o.PolicySockets), p.policyChecks(o), p.socketChecks(o), p.tlsChecks(), p.filterChecks(),
		p.limitChecks(), p.instanceChecks(), hostChecks("/"), mxCheck(ctx, o), p.sendingChecks(o), othersCheck(ctx, p, o),
		memoryChecks(ctx, o), judgedCheck(o))
}

// socketChecks try what the daemon listens on, as far as Postfix should ask there.
func (p *Postfix) socketChecks(o Options) (all []Finding) {
	sockets := slices.Concat(o.Sockets, o.PolicySockets)
	if p.asks(o.Sending.Sockets) {
		sockets = append(sockets, o.Sending.Sockets...)
	}
	for _, s := range sockets {
		if filepath.IsAbs(s) {
			all = append(all, p.socketCheck(s, o.Running))
		} else {
			all = append(all, portCheck(s))
		}
	}
	return all
}

const asRoot = "sudo tlsratchet doctor"

// start and listenAgain are for systemd where that runs (sd_booted(3)).
func start() string { return bySystemd("enable --now", "tlsratchet serve &") }

func listenAgain() string { return bySystemd("restart", "pkill -HUP -x tlsratchet") }

func bySystemd(act, otherwise string) string {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return otherwise
	}
	return "systemctl " + act + " tlsratchet.socket tlsratchet.service"
}

// socketCheck tries the socket, and reports whether Postfix's user may use it.
func (p *Postfix) socketCheck(path string, running bool) Finding {
	const check = "socket"
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && running:
		return broken(check, path+" was deleted under the running daemon, which Postfix can't reach any more", listenAgain())
	case errors.Is(err, fs.ErrNotExist):
		return broken(check, path+" does not exist: the daemon is not running", start())
	case errors.Is(err, fs.ErrPermission):
		return note(check, err.Error()+": not checked", asRoot)
	case err != nil:
		return broken(check, err.Error(), "")
	}
	owner := p.main["mail_owner"]
	postfix, err := account.Lookup(owner)
	if err != nil {
		return note(check, fmt.Sprintf("mail_owner = %s: %v", owner, err), "")
	}
	if folder := postfix.Blocked(filepath.Dir(path) + "/."); folder != "" {
		return broken(check, fmt.Sprintf("Postfix's user %s can't enter %s, so that it can't reach %s: put the socket into a folder that it may enter, or open this one", owner, folder, path), "")
	}
	if !postfix.May(info, account.Write) {
		return broken(check, fmt.Sprintf("%s (%s) is closed to Postfix's user %s: set group = %q under [socket] in tlsratchet.toml, or SocketGroup=%s in tlsratchet.socket where systemd opens it", path, info.Mode(), owner, owner, owner), "")
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return note(check, err.Error()+": not checked", asRoot)
	case err != nil:
		return broken(check, fmt.Sprintf("nothing answers on %s: %v", path, err), start())
	}
	conn.Close()
	return fine(check, fmt.Sprintf("%s answers, and Postfix's user %s may use it", path, owner))
}

// portCheck tries a TCP listener, inet:host:port.
func portCheck(listener string) Finding {
	address := strings.TrimPrefix(listener, "inet:")
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return broken("socket", fmt.Sprintf("nothing answers on %s: %v", listener, err), start())
	}
	conn.Close()
	return fine("socket", listener+" answers")
}

// hostChecks look for what keeps the peers, or Postfix, from us. root is the folder
// that all others are in.
func hostChecks(root string) (all []Finding) {
	const container = "this is a container: behind the engine's userland proxy all peers have one private address, and none is judged"
	for _, m := range []struct{ file, has, check, text string }{
		{"/.dockerenv", "", "front", container},
		{"/run/.containerenv", "", "front", container},
		{"/sys/fs/selinux/enforce", "1", "socket", "SELinux is enforcing: whether it lets Postfix reach the sockets is not checked; what it refused: ausearch -m avc"},
	} {
		if text, err := os.ReadFile(filepath.Join(root, m.file)); err == nil && strings.HasPrefix(string(text), m.has) {
			all = append(all, note(m.check, m.text, ""))
		}
	}
	return unique(all)
}

// judgedCheck reports how many messages were judged today. If there was none,
// peers may come through a gateway, or Postfix does not ask us.
func judgedCheck(o Options) []Finding {
	const check = "messages"
	if o.Newest == "" {
		return nil
	}
	var judged, exempt uint64 // today
	last := "the daemon was installed"
	for i := range o.Tally {
		d := &o.Tally[i]
		j, e := d.Judged()
		if d.Day == tlsstate.DayOf(o.Now) {
			judged, exempt = j, e
		}
		if j > 0 {
			last = d.Day.String()
		}
	}
	switch {
	case judged > 0:
		return []Finding{fine(check, fmt.Sprintf("%d judged today, %d exempt", judged, exempt))}
	case exempt > 0:
		return []Finding{note(check, fmt.Sprintf("none judged since %s; exempt today: %d. Do peers come through a gateway or proxy of yours?", last, exempt), "")}
	}
	return []Finding{note(check, "none judged since "+last, "")}
}

// mxCheck tries our own MX, as a peer would, if it is known.
func mxCheck(ctx context.Context, o Options) []Finding {
	if o.MX == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var d net.Dialer
	r := selfcheck.Probe(ctx, d.DialContext, o.MX)
	problem := r.Problem(o.Now)
	found := Finding{Check: "own mx", Severity: Broken, Text: r.Describe(o.MX, problem)}
	switch problem {
	case selfcheck.OK:
		found.Severity = Fine
	case selfcheck.Unknown, selfcheck.CertificateExpires:
		found.Severity = Note
	}
	return []Finding{found}
}

// othersCheck looks for MX hosts that don't share the memory: a peer that is
// refused here delivers there.
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
		return nil // unknown, or a single one
	}
	return []Finding{note(check, fmt.Sprintf("%s has %d MX hosts, and the memory is not shared: a peer that is refused here delivers there (docs/several-mx.md)", domain, len(hosts)), "")}
}

// memoryChecks look at the history's file, the disk and the clock.
func memoryChecks(ctx context.Context, o Options) []Finding {
	if o.History == "" {
		return []Finding{note("memory", "the history is kept in RAM alone: a restart forgets it; set in tlsratchet.toml: history = \"/var/lib/tlsratchet/history.db\"", "")}
	}
	info, err := os.Stat(o.History)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return []Finding{note("memory", err.Error()+": not checked", asRoot)}
	case err != nil && o.Running:
		return []Finding{broken("memory", o.History+" was deleted under the running daemon: restart it, and it goes on with a snapshot", bySystemd("restart", ""))}
	case err != nil:
		return []Finding{note("memory", fmt.Sprintf("no history yet: %v", err), "")}
	}
	all := []Finding{fine("memory", fmt.Sprintf("%s, %d KiB", o.History, info.Size()>>10))}
	if info.Mode().Perm()&0o077 != 0 {
		all = append(all, note("memory", fmt.Sprintf("%s is readable by others (%s), and it names your peers", o.History, info.Mode()), "chmod 0600 "+quote(o.History)))
	}
	for line := range strings.Lines(o.Trouble) {
		all = append(all, broken("memory", strings.TrimSpace(line), ""))
	}
	// A copy and room to grow.
	if free, err := freeBytes(ctx, filepath.Dir(o.History)); err == nil && free < max(2*info.Size(), 64<<20) {
		all = append(all, broken("disk", fmt.Sprintf("%d MiB are free in the folder of the history, which has %d MiB: want %d", free>>20, info.Size()>>20, max(2*info.Size(), 64<<20)>>20), ""))
	}
	// Days in this form compare as texts.
	if today := tlsstate.DayOf(o.Now); o.Newest != tlsstate.Day(0).String() && o.Newest > (today+1).String() {
		all = append(all, broken("clock", fmt.Sprintf("the newest record is of %s, and today is %s: is the clock right?", o.Newest, today), ""))
	}
	return all
}

// freeBytes returns how many bytes an ordinary user may still write in a folder, by
// df(1), which is the same on every system.
func freeBytes(ctx context.Context, folder string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "df", "-Pk", folder).Output()
	m := regexp.MustCompile(`(-?\d+) +\d+% `).FindSubmatch(out)
	if err != nil || m == nil {
		return 0, errors.Join(err, errors.New("df shows no free space"))
	}
	kib, err := strconv.ParseInt(string(m[1]), 10, 64)
	return kib << 10, err
}
