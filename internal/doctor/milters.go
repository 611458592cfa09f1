package doctor

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tlsratchet/internal/postconf"
)

// ours are the options of tlsratchet's entry, as in contrib/postfix.
var ours = []string{"default_action=accept", "connect_timeout=2s", "command_timeout=5s", "content_timeout=10s"}

// Entry returns the entry of smtpd_milters for an endpoint.
func Entry(endpoint string) string {
	return "{ " + endpoint + ", " + strings.Join(ours, ", ") + " }"
}

// milter is one entry of smtpd_milters.
type milter struct {
	// text is the entry as it is written, braces included.
	text     string
	endpoint string
	// options are name=value, without the braces that each may have.
	options []string
}

// parseMilters reads smtpd_milters: each entry is a bare endpoint, or one with
// options in braces.
func parseMilters(list string) (all []milter) {
	for _, text := range postconf.List(list) {
		words := []string{text}
		if inner, ok := strings.CutPrefix(text, "{"); ok {
			words = postconf.List(strings.TrimSuffix(inner, "}"))
		}
		if len(words) > 0 {
			m := milter{text, words[0], nil}
			for _, w := range words[1:] {
				m.options = append(m.options, aroundSigns.ReplaceAllString(strings.Trim(w, "{} "), "$1"))
			}
			all = append(all, m)
		}
	}
	return all
}

// own returns an option of an entry, or "". Of two, Postfix takes the last.
func (m milter) own(name string) string {
	for _, o := range slices.Backward(m.options) {
		if value, ok := strings.CutPrefix(o, name+"="); ok {
			return value
		}
	}
	return ""
}

// option returns an option of a service's entry, or the parameter that stands in for
// it: "milter_" and the name.
func (p *Postfix) option(s service, m milter, prefix, name string) string {
	return cmp.Or(m.own(name), p.value(s, prefix+name))
}

// slow returns the time-out of an entry that is more than five times ours, or "".
func (p *Postfix) slow(s service, m milter) string {
	for _, o := range ours[1:] {
		name, want, _ := strings.Cut(o, "=")
		if is := p.option(s, m, "milter_", name); seconds(is, 1) > 5*seconds(want, 1) {
			return name + "=" + is
		}
	}
	return ""
}

const day = 86400

var units = map[byte]int{'s': 1, 'm': 60, 'h': 3600, 'd': day, 'w': 7 * day}

// seconds reads a time of Postfix's, whose unit may be left out. What it can't read
// is 0.
func seconds(s string, unit int) int {
	if n := len(s) - 1; n > 0 && units[s[n]] > 0 {
		s, unit = s[:n], units[s[n]]
	}
	count, _ := strconv.Atoi(s)
	return count * unit
}

// with returns an entry that has our options; others that it has stay.
func (m milter) with(endpoint string) string {
	words := []string{endpoint}
	for _, o := range ours {
		name, value, _ := strings.Cut(o, "=")
		if is := m.own(name); name != "default_action" && is != "" && seconds(is, 1) <= 5*seconds(value, 1) {
			o = name + "=" + is
		}
		words = append(words, o)
	}
	for _, o := range m.options {
		name, _, _ := strings.Cut(o, "=")
		if !slices.ContainsFunc(ours, func(our string) bool { return strings.HasPrefix(our, name+"=") }) {
			words = append(words, o)
		}
	}
	return "{ " + strings.Join(words, ", ") + " }"
}

// isOurs reports whether an endpoint is one of our sockets, and whether
// smtpd(8) can reach it: a chrooted one looks for a path below the queue
// directory.
func (p *Postfix) isOurs(endpoint string, chroot bool, sockets []string) (is, reachable bool) {
	kind, path, _ := strings.Cut(endpoint, ":")
	isUnix := kind == "unix" || kind == "local"
	for _, s := range sockets {
		switch {
		case !isUnix && samePort(endpoint, s):
			return true, true
		case !isUnix:
		case sameFile(filepath.Join(p.main["queue_directory"], path), s) && (chroot || !filepath.IsAbs(path)):
			return true, true
		case filepath.IsAbs(path) && sameFile(filepath.Clean(path), s):
			return true, !chroot
		}
	}
	return false, false
}

// sameFile reports whether two paths lead to one name in one folder: folders may be
// links, and the socket need not be there.
func sameFile(a, b string) bool {
	if a == b || filepath.Base(a) != filepath.Base(b) {
		return a == b
	}
	in, err := os.Stat(filepath.Dir(a))
	other, err2 := os.Stat(filepath.Dir(b))
	return err == nil && err2 == nil && os.SameFile(in, other)
}

// samePort compares inet:host:port. A listener on all addresses is the same as
// one on any.
func samePort(endpoint, listener string) bool {
	host, port, err := net.SplitHostPort(strings.TrimPrefix(endpoint, "inet:"))
	our, ourPort, err2 := net.SplitHostPort(strings.TrimPrefix(listener, "inet:"))
	ip := net.ParseIP(our)
	return err == nil && err2 == nil && port == ourPort &&
		(host == our || our == "" || ip != nil && (ip.IsUnspecified() || ip.IsLoopback() && host == "localhost"))
}

// unseen states that a chrooted service can't see our socket. Where none is in
// its sight, no line mends that.
func (p *Postfix) unseen(path string, sockets []string) string {
	text := fmt.Sprintf("runs chrooted in %s and can't see %s", p.main["queue_directory"], strings.TrimPrefix(path, "unix:"))
	if p.endpoint(true, sockets) == "" {
		text += ": have tlsratchet listen on a socket below that directory too"
	}
	return text
}

// endpoint is how Postfix should name one of our sockets; "" where a chrooted
// process would see none of them.
func (p *Postfix) endpoint(chroot bool, sockets []string) string {
	for _, s := range sockets {
		if rel, err := filepath.Rel(p.main["queue_directory"], s); err == nil && !strings.HasPrefix(rel, "..") {
			return "unix:" + rel
		}
	}
	if chroot {
		sockets = slices.DeleteFunc(slices.Clone(sockets), filepath.IsAbs)
	}
	if len(sockets) == 0 {
		return ""
	}
	if filepath.IsAbs(sockets[0]) {
		return "unix:" + sockets[0]
	}
	host, port, err := net.SplitHostPort(strings.TrimPrefix(sockets[0], "inet:"))
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		loopback := "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			loopback = "::1"
		}
		return "inet:" + net.JoinHostPort(loopback, port)
	}
	return sockets[0]
}
