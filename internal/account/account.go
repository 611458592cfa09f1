// Package account answers who may use a file, by its mode bits, and who is at the other
// end of a socket.
package account

import (
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// Account is a user with its groups.
type Account struct {
	// Name is the user's.
	Name string
	// uid is -1 for one that is not known.
	uid  int
	gids []int
}

// What an account may do with a file: the bits of the mode.
const (
	Enter fs.FileMode = 1
	Write fs.FileMode = 2
	Read  fs.FileMode = 4
)

// Lookup returns a user. Where there is none, the error says so, and the account
// is that of a user in no group.
func Lookup(name string) (Account, error) {
	a := Account{Name: name, uid: -1}
	u, err := user.Lookup(name)
	if err != nil {
		return a, err
	}
	a.uid, _ = strconv.Atoi(u.Uid)
	ids, _ := u.GroupIds()
	for _, id := range ids {
		gid, _ := strconv.Atoi(id)
		a.gids = append(a.gids, gid)
	}
	return a, nil
}

// InGroup returns any user of a group.
func InGroup(gid int) Account { return Account{uid: -1, gids: []int{gid}} }

// Blocked returns the part of an absolute path that keeps the account from
// reading it: a folder that it can't enter, or the file itself; "" if nothing
// does, or there is no such file.
func (a Account) Blocked(path string) string {
	for folder := filepath.Dir(path); ; folder = filepath.Dir(folder) {
		if !a.may(folder, Enter) {
			return folder
		}
		if folder == "/" || folder == "." {
			break
		}
	}
	if filepath.Base(path) != "." && !a.may(path, Read) {
		return path
	}
	return ""
}

func (a Account) may(path string, what fs.FileMode) bool {
	info, err := os.Stat(path)
	return err != nil || a.May(info, what) // another check reports the error
}

// May reports whether the mode bits of a file let the account do that.
func (a Account) May(info fs.FileInfo, what fs.FileMode) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return true
	case a.uid >= 0 && int(owner.Uid) == a.uid:
		what <<= 6
	case slices.Contains(a.gids, int(owner.Gid)):
		what <<= 3
	}
	return info.Mode().Perm()&what != 0
}
