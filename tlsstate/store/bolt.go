package store

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"sync/atomic"
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

// boltDisk is a disk in a bbolt file.
type boltDisk struct {
	db   *bolt.DB
	file *os.File
	fill float64 // of the pages; 0 for bbolt's own
	// broken is set once bbolt may hang on locks of its own, or its file is
	// not to be trusted with a write.
	broken atomic.Bool
}

// openBolt locks the file, verifies it by plain reads, and only then has bbolt
// map it: all through one descriptor, so that nobody comes between.
//
// If replace is not nil and the file is not usable, replace gets the file and
// what was found, and returns the file to use instead.
//
// The free list is kept in the file. Without it bbolt looks for the free pages
// by itself, at open and after each commit that failed, in a goroutine that
// can't be guarded; and groups are written no faster (tried).
func openBolt(path string, patience time.Duration, replace replacement) (*boltDisk, census, error) {
	d, found := &boltDisk{}, census{}
	opts := &bolt.Options{
		Timeout:      time.Second, // we have the lock already
		FreelistType: bolt.FreelistMapType,
		NoStatistics: true,
		OpenFile: func(name string, flag int, mode fs.FileMode) (f *os.File, err error) {
			if f, err = lockFile(name, flag, mode, patience); err != nil {
				return nil, err
			}
			if found, err = verify(f); replace != nil {
				f, found, err = replace(f, found, err)
			}
			if err == nil && found.fresh {
				err = f.Truncate(0) // bbolt begins anew
			}
			if err != nil {
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
			_ = unlock(d.file) // whatever bbolt did
		}
		return nil, census{}, err
	}
	return d, found, nil
}

// replacement returns the file to go on with, instead of one that was verified
// so.
type replacement func(*os.File, census, error) (*os.File, census, error)

// format makes the buckets of a new file.
func format(tx *bolt.Tx) error {
	if _, err := tx.CreateBucketIfNotExists(bucketHistories); err != nil {
		return err
	}
	meta, err := tx.CreateBucketIfNotExists(bucketMeta)
	if err != nil {
		return err
	}
	return meta.Put(keyFormat, formatText(Format))
}

// guarded calls fn, and returns an error where it faults in the mapped file or panics:
// bbolt does at a damaged file.
func guarded(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return fn()
}

// view is a guarded read transaction. A fault while it begins leaves
// bbolt's own lock taken: no other may begin then.
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
	err = d.view(func(b *bolt.Bucket) (err error) {
		if value := b.Get(key); value != nil {
			h, _, err = parseValue(key, value)
		}
		return err
	})
	return h, err
}

func (d *boltDisk) scan(key []byte, n int) (b batch, err error) {
	damaged := 0
	err = d.view(func(all *bolt.Bucket) error {
		c := all.Cursor()
		k, v := c.Seek(key)
		for ; k != nil && n > 0; n-- {
			if h, from, err := parseValue(k, v); err == nil && isKey(k) {
				b.found = append(b.found, entry{parseKey(k), h, from})
			} else {
				damaged++
			}
			k, v = c.Next()
		}
		b.next = bytes.Clone(k)
		return nil
	})
	if err == nil && damaged > 0 {
		err = fmt.Errorf("%w: %d of %d", tlsstate.ErrDamaged, damaged, damaged+len(b.found))
	}
	return b, err
}

// put writes a group in one transaction. After a panic inside of bbolt nothing
// is written any more until the file was verified again, by a restart.
func (d *boltDisk) put(group []entry) error {
	if d.broken.Load() {
		return fmt.Errorf("%w: nothing is written until a restart", ErrDamaged)
	}
	err := guarded(func() error {
		return d.db.Update(func(tx *bolt.Tx) error { return d.putAll(tx, group) })
	})
	if errors.Is(err, ErrDamaged) {
		d.broken.Store(true)
	}
	return err
}

func (d *boltDisk) putAll(tx *bolt.Tx, group []entry) error {
	b := tx.Bucket(bucketHistories)
	if b == nil {
		return fmt.Errorf("%w: no histories", ErrDamaged)
	}
	b.FillPercent = cmp.Or(d.fill, b.FillPercent)
	for i := range group {
		if err := putOne(b, &group[i]); err != nil {
			return err
		}
	}
	return nil
}

// putOne writes an entry, or deletes it if its history is empty. The network
// that came first stays.
func putOne(b *bolt.Bucket, e *entry) error {
	key := appendKey(make([]byte, 0, 1+len(e.id.Name)), e.id)
	if e.gone() {
		return b.Delete(key)
	}
	_, from, err := parseValue(key, b.Get(key))
	if from == 0 || err != nil {
		from = e.from
	}
	return b.Put(key, appendValue(make([]byte, 0, tlsstate.MaxRecord+valueTail), key, e.h, from))
}

// close closes the file. A broken one stays mapped until the process ends, because
// bbolt might wait for its lock for ever.
func (d *boltDisk) close() error {
	if d.broken.Load() {
		return unlock(d.file)
	}
	return guarded(d.db.Close)
}
