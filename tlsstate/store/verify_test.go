package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"tlsratchet/tlsstate"
)

func resum(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// damaged is one way to damage a file.
type damaged struct {
	name string
	do   func(b []byte) []byte
	meta bool // in what bbolt keeps twice: an older state may come back
}

func damages(size, pageSize int) (all []damaged) {
	rnd := rand.New(rand.NewPCG(5, 321))
	for range 250 {
		at := rnd.IntN(size)
		all = append(all, damaged{fmt.Sprintf("byte %d, a bit", at), func(b []byte) []byte {
			b[at] ^= 1 << rnd.IntN(8)
			return b
		}, at < 2*pageSize})
	}
	for range 60 { // heads of pages, where it hurts
		at := rnd.IntN(size/pageSize)*pageSize + rnd.IntN(64)
		all = append(all, damaged{fmt.Sprintf("byte %d, any", at), func(b []byte) []byte {
			b[at] = byte(rnd.Int())
			return b
		}, at < 2*pageSize})
	}
	for page := range size / pageSize {
		all = append(all, damaged{fmt.Sprintf("page %d of zeros", page), func(b []byte) []byte {
			clear(b[page*pageSize:][:pageSize])
			return b
		}, page < 2})
		from := rnd.IntN(size / pageSize)
		all = append(all, damaged{fmt.Sprintf("page %d from %d", page, from), func(b []byte) []byte {
			copy(b[page*pageSize:][:pageSize], b[from*pageSize:][:pageSize])
			return b
		}, page < 2})
	}
	for range 40 {
		n := rnd.IntN(size)
		all = append(all, damaged{fmt.Sprintf("cut to %d", n), func(b []byte) []byte { return b[:n] }, true})
	}
	return all
}

// No damage crashes the process, and none is read as something else: a history
// is what was written, or unknown.
func TestDamagedFiles(t *testing.T) {
	const peers = 300
	whole := read(t, fill(t, peers))
	path := filepath.Join(t.TempDir(), "damaged")
	refused, lost, intact := 0, 0, 0
	for _, d := range damages(len(whole), os.Getpagesize()) {
		b := d.do(append([]byte(nil), whole...))
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path, Options{ReadTimeout: patience})
		switch {
		case errors.Is(err, ErrDamaged), errors.Is(err, ErrNewerVersion):
			refused++
			continue
		case err != nil:
			t.Errorf("%s: %v", d.name, err)
			continue
		}
		if missing := missing(t, d, f, peers); missing == 0 {
			intact++
		} else {
			lost++
		}
		mustMerge(t, f, peer(1), seen(12)) // what passed can be written to
		mustFlush(t, f)
		mustClose(t, f)
	}
	t.Logf("%d refused, %d with records lost, %d intact", refused, lost, intact)
	if refused == 0 || lost == 0 || intact == 0 {
		t.Errorf("%d refused, %d with records lost, %d intact: no fair sample", refused, lost, intact)
	}
}

func missing(t *testing.T, d damaged, f *File, peers int) (n int) {
	for i := range peers {
		h, err := f.Load(peer(i))
		if h == (tlsstate.History{}) {
			n++
		} else if err != nil || h != seen(1+i%9) {
			t.Errorf("%s: %s is read as %+v, %v", d.name, peer(i), h, err)
		}
	}
	if n != 0 && f.Stats().Damaged == 0 && !d.meta {
		t.Errorf("%s: %d records are lost in silence", d.name, n)
	}
	return n
}

// The verifier agrees with bbolt on files that bbolt wrote.
func TestVerifyKnowsBbolt(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(t.TempDir(), "db")
		synced := rapid.Bool().Draw(rt, "free list synced")
		db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true, NoFreelistSync: !synced, PageSize: 1024 << rapid.IntRange(0, 3).Draw(rt, "page size")})
		if err != nil {
			rt.Fatal(err)
		}
		kept := map[string]bool{}
		for range rapid.IntRange(0, 12).Draw(rt, "transactions") {
			err := db.Update(func(tx *bolt.Tx) error {
				if err := format(tx); err != nil {
					return err
				}
				return churn(rt, tx.Bucket(bucketHistories), kept)
			})
			if err != nil {
				rt.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			rt.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			rt.Fatal(err)
		}
		defer file.Close()
		if found, err := verify(file); err != nil || found.records+found.damaged != len(kept) {
			rt.Fatalf("verify: %+v, %v, want %d records", found, err, len(kept))
		}
	})
}

// A free list of more pages than its head can count.
func TestALongFreeList(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true, PageSize: 1024})
	if err != nil {
		t.Fatal(err)
	}
	key := appendKey(nil, peer(1))
	for _, change := range []func(*bolt.Tx) error{
		format,
		func(tx *bolt.Tx) error { return tx.Bucket(bucketHistories).Put(key, make([]byte, 70_000<<10)) },
		func(tx *bolt.Tx) error { return tx.Bucket(bucketHistories).Delete(key) },
		func(tx *bolt.Tx) error { return tx.Bucket(bucketHistories).Put(key, appendValue(nil, key, seen(1), 0)) },
	} {
		if err := db.Update(change); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if found := holds(t, path); found.records != 1 || found.damaged != 0 {
		t.Errorf("%+v", found)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	m, _, err := newestMeta(file)
	if err != nil {
		t.Fatal(err)
	}
	var last [8]byte // of the list
	order.PutUint64(last[:], m.Root)
	head := make([]byte, pageHead+8)
	if _, err := file.ReadAt(head, int64(m.Freelist)*int64(m.PageSize)); err != nil {
		t.Fatal(err)
	}
	n := int64(order.Uint64(head[pageHead:]))
	if asPage(head).count != 0xFFFF || n < 0xFFFF {
		t.Fatalf("a list of %d pages", n)
	}
	if _, err := file.WriteAt(last[:], int64(m.Freelist)*int64(m.PageSize)+pageHead+8*n); err != nil {
		t.Fatal(err)
	}
	if _, err := verify(file); !errors.Is(err, ErrDamaged) {
		t.Errorf("the last of the list is in use: %v", err)
	}
}

// A free list may fill its page to the last byte.
func TestAFreeListThatFillsItsPage(t *testing.T) {
	const size, full = 1024, (1024 - pageHead) / 8
	b := make([]byte, 3*size)
	head := b[2*size:]
	order.PutUint64(head, 2)
	order.PutUint16(head[8:], flagFreelist)
	order.PutUint16(head[10:], full)
	for i := range full {
		order.PutUint64(head[pageHead+8*i:], uint64(3+i))
	}
	v := verifier{r: bytes.NewReader(b), meta: meta{PageSize: size, Pages: 3 + full, Freelist: 2}, used: make([]uint64, (3+full)/64+1)}
	if err := v.freelist(); err != nil {
		t.Errorf("a full page: %v", err)
	}
	order.PutUint16(head[10:], full+1)
	clear(v.used)
	if err := v.freelist(); !errors.Is(err, ErrDamaged) {
		t.Errorf("one more than fit: %v", err)
	}
}

// A page is read alone, whatever the buffer was used for before.
func TestABufferOfALongerPage(t *testing.T) {
	const size = 1024
	v := verifier{r: bytes.NewReader(make([]byte, 4*size)), meta: meta{PageSize: size}}
	for _, pages := range []uint64{1, 3, 1} {
		b, err := v.read(make([]byte, 3*size), 4-pages, pages)
		if err != nil || len(b) != int(pages)*size {
			t.Errorf("%d pages: %d bytes, %v", pages, len(b), err)
		}
	}
}

// churn puts and deletes some keys, some with long values.
func churn(rt *rapid.T, b *bolt.Bucket, kept map[string]bool) error {
	base := rapid.IntRange(0, 400).Draw(rt, "from")
	remove := rapid.IntRange(0, 2).Draw(rt, "act") == 0
	for i := range rapid.IntRange(0, 120).Draw(rt, "keys") {
		key := appendKey(nil, peer(base+i))
		value := appendValue(nil, key, seen(1+i%9), network(i))
		if i == 7 {
			value = make([]byte, 9000) // a page with overflow, of no record
		}
		err := b.Put(key, value)
		if kept[string(key)] = true; remove {
			err = b.Delete(key)
			delete(kept, string(key))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// FuzzVerify changes a few bytes of a good file. Whatever passes, bbolt must
// be able to go through without a panic; only the records that were found damaged are
// an error.
func FuzzVerify(f *testing.F) {
	whole := read(f, fill(f, 120))
	f.Add(uint32(0x3010), []byte{1, 2, 3})
	f.Add(uint32(0), []byte{0xff})
	f.Add(uint32(0x1050), make([]byte, 64))
	path := filepath.Join(f.TempDir(), "fuzzed")
	f.Fuzz(func(t *testing.T, at uint32, change []byte) {
		b := append([]byte(nil), whole...)
		copy(b[int(at)%len(b):], change)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		d, found, err := openBolt(path, 0, nil)
		if err != nil {
			return
		}
		defer func() { _ = d.close() }()
		all, err := d.scan([]byte{0}, 1000)
		if damaged := len(found.bad) > 0; errors.Is(err, tlsstate.ErrDamaged) != damaged || err != nil && !damaged || all.next != nil || len(all.found) != found.records {
			t.Errorf("it passes, but is no good: %d of %d, %v", len(all.found), found.records, err)
		}
	})
}

// A disk that fails under the verifier is damage too, with its reason.
func TestVerifyOnADiskThatFails(t *testing.T) {
	path := fill(t, 300)
	size := int64(len(read(t, path)))
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for n := range 12 {
		left := n
		v, err := newVerifier(failing{file, &left}, size)
		if err == nil {
			_, err = v.buckets()
		}
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("after %d reads: %v", n, err)
		}
	}
}

type failing struct {
	r    io.ReaderAt
	left *int
}

func (f failing) ReadAt(b []byte, off int64) (int, error) {
	if *f.left--; *f.left < 0 {
		return 0, errors.New("input/output error")
	}
	return f.r.ReadAt(b, off)
}
