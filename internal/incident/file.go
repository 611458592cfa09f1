package incident

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"tlsratchet/internal/statefile"
)

// Errors of the file.
var (
	// ErrLocked: another process has the file open. Only one can.
	ErrLocked = errors.New("in use by another process")
	// ErrNewerVersion: a newer tlsratchet wrote the file. It is unchanged.
	ErrNewerVersion = errors.New("written by a newer version")
	// ErrDamaged: the file is not as it was written.
	ErrDamaged = errors.New("damaged file of incidents")
)

// The file has two buckets: the incidents by number, and meta with the format
// and the tally. A value is the CRC-32C of its JSON, then the JSON.
var (
	bucketIncidents = []byte("incidents")
	bucketMeta      = []byte("meta")
	keyFormat       = []byte("format")
	keyTally        = []byte("tally")
)

const format = "tlsratchet incidents 1"

// lockPatience is how long Open waits for a file that another process has open.
const lockPatience = 500 * time.Millisecond

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// PathFor returns the path of the incidents of a history:
// history-incidents.db for history.db.
func PathFor(history string) string {
	ext := filepath.Ext(history)
	return strings.TrimSuffix(history, ext) + "-incidents" + ext
}

// batch is what is to be written; nil values are to be removed.
type batch struct {
	incidents map[uint64][]byte
	tally     []byte
}

// content is what a file holds.
type content struct {
	incidents []*Incident
	// lost are the numbers of damaged records.
	lost  []uint64
	tally Tally
	// aside is the new name of a damaged file, or "".
	aside string
}

// file stores incidents in a bbolt file.
type file struct {
	db *bolt.DB
	// broken is set once bbolt panicked: it may hold its locks for ever then.
	broken bool
}

// openFile opens the file, or makes it, and returns its content. A damaged one
// is renamed, and a new one made.
func openFile(path string) (*file, content, error) {
	f, found, err := readFile(path)
	if !errors.Is(err, ErrDamaged) {
		return f, found, err
	}
	aside := path + ".damaged"
	if moved := os.Rename(path, aside); moved != nil {
		return nil, content{}, errors.Join(err, moved)
	}
	f, found, err = readFile(path)
	found.aside = aside
	return f, found, err
}

func readFile(path string) (*file, content, error) {
	f, found := &file{}, content{}
	if made, err := statefile.Open(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
		_ = made.Close() // bbolt fills it
	}
	err := guarded(func() (err error) {
		if f.db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: lockPatience, NoStatistics: true}); err != nil {
			return err
		}
		if err = f.db.Update(prepare); err != nil {
			return err
		}
		return f.db.View(func(tx *bolt.Tx) error {
			found.readTally(tx.Bucket(bucketMeta))
			found.readIncidents(tx.Bucket(bucketIncidents))
			return nil
		})
	})
	if err == nil {
		return f, found, nil
	}
	if f.db != nil {
		_ = guarded(f.db.Close)
	}
	return nil, content{}, meaning(err)
}

// meaning translates the errors of bbolt.
func meaning(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return ErrLocked
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// prepare checks the format, and makes the buckets of a new file.
func prepare(tx *bolt.Tx) error {
	meta, err := tx.CreateBucketIfNotExists(bucketMeta)
	if err != nil {
		return err
	}
	switch found := string(meta.Get(keyFormat)); {
	case found == format:
	case found == "" && tx.Bucket(bucketIncidents) == nil:
		if err := meta.Put(keyFormat, []byte(format)); err != nil {
			return err
		}
	case strings.HasPrefix(found, "tlsratchet incidents "):
		return fmt.Errorf("%w: %.64q, this one knows %q", ErrNewerVersion, found, format)
	default:
		return fmt.Errorf("%w: not a file of incidents", ErrDamaged)
	}
	_, err = tx.CreateBucketIfNotExists(bucketIncidents)
	return err
}

// readIncidents reads the newest ones.
func (c *content) readIncidents(b *bolt.Bucket) {
	at := b.Cursor()
	for k, v := at.Last(); k != nil; k, v = at.Prev() {
		if len(k) != 8 {
			continue
		}
		i, id := &Incident{}, binary.BigEndian.Uint64(k)
		if len(c.incidents) < maxIncidents && json.Unmarshal(unsealed(v), i) == nil && id == i.ID {
			c.incidents = append(c.incidents, i)
		} else {
			c.lost = append(c.lost, id)
		}
	}
}

func (c *content) readTally(b *bolt.Bucket) {
	if json.Unmarshal(unsealed(b.Get(keyTally)), &c.tally) != nil {
		c.tally = nil
	}
}

// write writes all of a batch or nothing.
func (f *file) write(b batch) error {
	if f.broken {
		return ErrDamaged
	}
	err := guarded(func() error {
		return f.db.Update(func(tx *bolt.Tx) error {
			for id, value := range b.incidents {
				if err := put(tx.Bucket(bucketIncidents), binary.BigEndian.AppendUint64(nil, id), value); err != nil {
					return err
				}
			}
			if b.tally == nil {
				return nil
			}
			return put(tx.Bucket(bucketMeta), keyTally, b.tally)
		})
	})
	f.broken = errors.Is(err, ErrDamaged)
	return err
}

func put(b *bolt.Bucket, key, value []byte) error {
	if value == nil {
		return b.Delete(key)
	}
	return b.Put(key, sealed(value))
}

func (f *file) close() error {
	if f.broken {
		return nil // its error was logged, and bbolt might wait for ever
	}
	return guarded(f.db.Close)
}

func sealed(value []byte) []byte {
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(value)), crc32.Checksum(value, castagnoli))
	return append(b, value...)
}

// unsealed is the inverse of sealed, and nil for what is damaged.
func unsealed(b []byte) []byte {
	if len(b) < 4 || binary.LittleEndian.Uint32(b) != crc32.Checksum(b[4:], castagnoli) {
		return nil
	}
	return b[4:]
}

// guarded calls fn and returns a fault in the mapped file, or a panic of bbolt,
// as an error.
func guarded(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return fn()
}
