//go:build !openbsd && !netbsd

package doctor

import "syscall"

// freeBytes returns how many bytes an ordinary user may still write in a folder.
func freeBytes(folder string) (int64, error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(folder, &disk); err != nil {
		return 0, err
	}
	return int64(disk.Bavail) * int64(disk.Bsize), nil
}
