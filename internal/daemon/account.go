package daemon

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// account is somebody who may or may not read files. A uid of -1 is nobody in
// particular.
type account struct {
	name string
	uid  int
	gids []int
}

// serviceAccount returns the user of tlsratchet's systemd service, if there is
// one. A dynamic user that systemd has not made yet is in no group.
func serviceAccount() (account, bool) {
	out, err := exec.Command("systemctl", "show", "tlsratchet.service", "--property=LoadState", "--property=User").Output()
	if err != nil {
		return account{}, false
	}
	shown := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		shown[key] = value
	}
	if shown["LoadState"] != "loaded" || shown["User"] == "" || shown["User"] == "root" {
		return account{}, false
	}
	a := account{name: shown["User"], uid: -1}
	if u, err := user.Lookup(a.name); err == nil {
		a.uid, _ = strconv.Atoi(u.Uid)
		ids, _ := u.GroupIds()
		for _, id := range ids {
			gid, _ := strconv.Atoi(id)
			a.gids = append(a.gids, gid)
		}
	}
	return a, true
}

// blocked returns the part of an absolute path that keeps an account from
// reading it, by the mode bits: a folder that it can't enter, or the file
// itself; "" if nothing does, or there is no such file.
func (a account) blocked(path string) string {
	for folder := filepath.Dir(path); ; folder = filepath.Dir(folder) {
		if !a.may(folder, 1) {
			return folder
		}
		if folder == "/" || folder == "." {
			break
		}
	}
	if filepath.Base(path) != "." && !a.may(path, 4) {
		return path
	}
	return ""
}

// may reports whether the mode bits of a file let an account read (4) or enter
// (1) it.
func (a account) may(path string, bit os.FileMode) bool {
	info, err := os.Stat(path)
	if err != nil {
		return true // another check reports it
	}
	mode := info.Mode().Perm()
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return true
	case a.uid >= 0 && int(owner.Uid) == a.uid:
		bit <<= 6
	case slices.Contains(a.gids, int(owner.Gid)):
		bit <<= 3
	}
	return mode&bit != 0
}
