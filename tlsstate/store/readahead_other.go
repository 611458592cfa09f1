//go:build !linux && !freebsd

package store

import "os"

// readAhead does nothing: these systems have no posix_fadvise(2).
func readAhead(*os.File) {}
