package doctor

import "golang.org/x/sys/unix"

// freeBytes returns how many bytes an ordinary user may still write in a folder.
func freeBytes(folder string) (int64, error) {
	var disk unix.Statvfs_t
	if err := unix.Statvfs(folder, &disk); err != nil {
		return 0, err
	}
	return int64(disk.Bavail) * int64(disk.Frsize), nil
}
