package doctor

import "syscall"

// freeBytes returns how many bytes an ordinary user may still write in a folder.
func freeBytes(folder string) (int64, error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(folder, &disk); err != nil {
		return 0, err
	}
	return disk.F_bavail * int64(disk.F_bsize), nil
}
