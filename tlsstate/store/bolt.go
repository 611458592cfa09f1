package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"

	"tlsratchet/tlsstate"
)

// The file has two buckets: the histories, and meta with the format under one
// key.
var (
	bucketHistories = []byte("histories")
	bucketMeta      = []byte("meta")
	keyFormat       = []byte("format")
)

// Format is the version of the file that this package writes. Files of a later
// one are refused.
const Format = 1

const formatPrefix = "tlsratchet "

// boltDisk is a disk in a bbolt file.
type boltDisk struct {
	db   *bolt.DB
	file *os.File
	// broken is set once bbolt may hang on locks of its own, or its file is
	// not to be trusted with a write.
	broken atomic.Bool
}

// openBolt locks the file, verifies it by plain reads, and only then has bbolt
// map it: all through one descriptor, so that nobody comes between.
//
// The free list is kept in the file. Without it bbolt looks for the free pages
// by itself, at open and after each commit that failed, in a goroutine that
// can't be guarded; and groups are written no faster (tried).
func openBolt(path string, patience time.Duration) (*boltDisk, census, error) {
	d, found := &boltDisk{}, census{}
	opts := &bolt.Options{
		Timeout:      time.Second, // we have the lock already
		FreelistType: bolt.FreelistMapType,
		NoStatistics: true,
		OpenFile: func(name string, flag int, mode fs.FileMode) (f *os.File, err error) {
			if f, err = lockFile(name, flag, mode, patience); err != nil {
				return nil, err
			}
			if found, err = verify(f); err != nil {
				_ = f.Close()
				return nil, err
			}
			d.file = f
			return f, nil
		},
	}
	err := guarded(func() (err error) {
		if d.db, err = bolt.Open(path, 0o600, opts); err == nil && found.fresh {
			err = d.db.Update(format)
		}
		return err
	})
	if err != nil {
		if d.file != nil {
			_ = d.file.Close() // lets go of the lock, whatever bbolt did
		}
		return nil, census{}, err
	}
	return d, found, nil
}

// lockFile opens the file and locks it, or says that it is in use.
func lockFile(name string, flag int, mode fs.FileMode, patience time.Duration) (*os.File, error) {
	f, err := os.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	err = lock(f, patience)
	if info, serr := f.Stat(); err == nil && (serr != nil || !info.Mode().IsRegular()) {
		err = errors.New("not a regular file")
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
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

// format makes the buckets of a new file.
func format(tx *bolt.Tx) error {
	if _, err := tx.CreateBucketIfNotExists(bucketHistories); err != nil {
		return err
	}
	meta, err := tx.CreateBucketIfNotExists(bucketMeta)
	if err != nil {
		return err
	}
	return meta.Put(keyFormat, strconv.AppendInt([]byte(formatPrefix), Format, 10))
}

// guarded calls fn so that a fault in the mapped file, or a panic of bbolt at
// what it finds there, is an error.
func guarded(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return fn()
}

// view is a guarded read transaction. A fault while it begins leaves bbolt's
// own lock taken: no other may begin then.
func (d *boltDisk) view(fn func(*bolt.Bucket) error) error {
	if d.broken.Load() {
		return ErrDamaged
	}
	begun := false
	err := guarded(func() error {
		return d.db.View(func(tx *bolt.Tx) error {
			begun = true
			b := tx.Bucket(bucketHistories)
			if b == nil {
				return fmt.Errorf("%w: no histories", ErrDamaged)
			}
			return fn(b)
		})
	})
	if !begun && errors.Is(err, ErrDamaged) {
		d.broken.Store(true)
	}
	return err
}

func (d *boltDisk) get(id tlsstate.Identity) (h tlsstate.History, err error) {
	key := appendKey(make([]byte, 0, 64), id)
	err = d.view(func(b *bolt.Bucket) error {
		value := b.Get(key)
		if value == nil {
			return nil
		}
		var err error
		h, err = parseValue(key, value)
		return err
	})
	return h, err
}

func (d *boltDisk) scan(key []byte, n int) (found []entry, next []byte, err error) {
	err = d.view(func(b *bolt.Bucket) error {
		c := b.Cursor()
		k, v := c.Seek(key)
		for ; k != nil && n > 0; n-- {
			id, err := parseKey(k)
			if h, verr := parseValue(k, v); err == nil && verr == nil {
				found = append(found, entry{id: id, h: h})
			}
			k, v = c.Next()
		}
		if k != nil {
			next = append(next, k...)
		}
		return nil
	})
	return found, next, err
}

// put writes a group in one transaction. After a panic inside of bbolt nothing
// is written any more until the file was verified again, by a restart.
func (d *boltDisk) put(group []entry) error {
	if d.broken.Load() {
		return fmt.Errorf("%w: nothing is written until a restart", ErrDamaged)
	}
	err := guarded(func() error {
		return d.db.Update(func(tx *bolt.Tx) error { return putAll(tx, group) })
	})
	if errors.Is(err, ErrDamaged) {
		d.broken.Store(true)
	}
	return err
}

func putAll(tx *bolt.Tx, group []entry) error {
	b := tx.Bucket(bucketHistories)
	if b == nil {
		return fmt.Errorf("%w: no histories", ErrDamaged)
	}
	for i := range group {
		key := appendKey(make([]byte, 0, 64), group[i].id)
		value := appendValue(make([]byte, 0, tlsstate.MaxRecord+keySum), key, group[i].h)
		if err := b.Put(key, value); err != nil {
			return err
		}
	}
	return nil
}

// close closes the file. The mapping of a broken one is left to the end of the
// process, because bbolt might wait for its lock for ever.
func (d *boltDisk) close() error {
	if d.broken.Load() {
		return d.file.Close()
	}
	return guarded(d.db.Close)
}
