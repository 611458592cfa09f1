package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"tlsratchet/internal/account"
	"tlsratchet/internal/clean"
)

type peerKey struct{}

// ConnContext is for [http.Server]: it notes which user is at the other end of
// a unix socket, as the system states it, for the audit lines.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	if _, uid, ok := account.Peer(conn); ok {
		return context.WithValue(ctx, peerKey{}, uid)
	}
	return ctx
}

// who names the operator for an audit line: the user of the connection. What
// the command claims counts for root alone, who may be somebody's sudo; and
// where there is no connection, for the file is then the operator's own.
func who(ctx context.Context, claimed string) string {
	uid, ok := ctx.Value(peerKey{}).(uint32)
	if !ok || uid == 0 && claimed != "" {
		return clean.Text(claimed, 100)
	}
	return userName(uid)
}

// WhoMay makes the error of a file that we may not use state who may, as [Denied]
// does. It returns other errors as they are.
func WhoMay(err error) error {
	if refused := new(fs.PathError); errors.As(err, &refused) && errors.Is(err, fs.ErrPermission) {
		return Denied(refused.Path)
	}
	return err
}

// Denied states who may use, or make, a file or socket that we may not, and what to
// do. It wraps [fs.ErrPermission].
func Denied(path string) error {
	folder := filepath.Dir(path)
	if folder := closed(folder); folder != "" {
		return denied(path, folder, 0o010, "the folder "+folder)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return denied(path, folder, 0o030, "the folder "+folder)
	case err == nil && info.Mode()&fs.ModeSocket == 0:
		return denied(path, path, 0o040, "it") // reading it is enough
	}
	return denied(path, path, 0o060, "it")
}

// closed returns the first folder on the way that we may not enter, or "".
func closed(folder string) string {
	if up := filepath.Dir(folder); up != folder {
		if first := closed(up); first != "" {
			return first
		}
	}
	if errors.Is(unix.Access(folder, unix.X_OK), fs.ErrPermission) {
		return folder
	}
	return ""
}

// denied describes the file or folder that refuses us. Its group may pass if the
// mode has all of the bits.
func denied(path, what string, bits fs.FileMode, name string) error {
	info, err := os.Stat(what)
	if err != nil {
		return fmt.Errorf("%s: %w: use sudo", path, fs.ErrPermission)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: %w: use sudo", path, fs.ErrPermission)
	}
	owner, group := userName(stat.Uid), groupName(stat.Gid)
	if info.Mode()&bits != bits || stat.Gid == 0 {
		return fmt.Errorf("%s: %w: %s is for the user %s alone (%s, group %s): use sudo", path, fs.ErrPermission, name, owner, info.Mode(), group)
	}
	return fmt.Errorf("%s: %w: %s is for the user %s and the group %s: use sudo, or be made a member (usermod -aG %s %s) and log in again",
		path, fs.ErrPermission, name, owner, group, group, userName(uint32(os.Getuid())))
}

func userName(id uint32) string {
	u, err := user.LookupId(fmt.Sprint(id))
	if err != nil {
		return fmt.Sprint(id)
	}
	return u.Username
}

func groupName(id uint32) string {
	g, err := user.LookupGroupId(fmt.Sprint(id))
	if err != nil {
		return fmt.Sprint(id)
	}
	return g.Name
}
