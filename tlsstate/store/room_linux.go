package store

import (
	"fmt"
	"syscall"
)

// minFree is what a copy leaves free, or a twentieth of a small disk: Postfix refuses
// mail below 1.5 times its message_size_limit.
const minFree = 64 << 20

// room returns an error if the disk of a folder has no room for more of a copy.
func room(folder string) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return nil // nothing is known
	}
	block := uint64(s.Bsize)
	if free, least := s.Bavail*block, min(s.Blocks*block/20, minFree); free < least {
		return fmt.Errorf("%w: %d MiB are free, and %d are left to others", syscall.ENOSPC, free>>20, least>>20)
	}
	return nil
}
