package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// lockFile opens the file and locks it, or says that it is in use. Whoever had
// the lock may have put another file in its place: then that one is opened.
func lockFile(name string, flag int, mode fs.FileMode, patience time.Duration) (*os.File, error) {
	for {
		f, err := os.OpenFile(name, flag, mode)
		if err != nil {
			return nil, err
		}
		err = lock(f, patience)
		info, serr := f.Stat()
		if err == nil && (serr != nil || !info.Mode().IsRegular()) {
			err = errors.New("not a regular file")
		}
		if err != nil {
			_ = f.Close()
			return nil, err
		}
		if now, err := os.Stat(name); err == nil && os.SameFile(info, now) {
			return f, nil
		}
		_ = f.Close()
	}
}

const lockPause = 20 * time.Millisecond

func lock(f *os.File, patience time.Duration) error {
	for ; ; patience -= lockPause {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("locking: %w", err)
		}
		if patience <= 0 {
			return ErrLocked
		}
		time.Sleep(lockPause)
	}
}

// unlock closes the file. While it is mapped, closing alone would keep the lock.
func unlock(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}
