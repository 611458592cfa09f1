//go:build linux || freebsd

package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// readAhead has the system read the whole file into its cache, in pieces that
// it takes: the verifier, and then bbolt, read all of it, page by page. It is
// only advice.
func readAhead(f *os.File) {
	const piece = 128 << 10
	info, err := f.Stat()
	for off := int64(0); err == nil && off < info.Size(); off += piece {
		err = unix.Fadvise(int(f.Fd()), off, piece, unix.FADV_WILLNEED)
	}
}
