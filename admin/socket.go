package admin

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// whoMay says which group a socket belongs to.
func whoMay(socket string) string {
	info, err := os.Stat(socket)
	if err != nil {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	gid := strconv.FormatUint(uint64(stat.Gid), 10)
	name := gid
	if g, err := user.LookupGroupId(gid); err == nil {
		name = g.Name
	}
	return fmt.Sprintf(": be root, or in the group %s", name)
}
