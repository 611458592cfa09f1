package store

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
)

// The layout of a bbolt file (its version 2), in the byte order of the machine:
//
//	page    id 8 | flags 2 | count 2 | overflow 4 | elements … | keys and values …
//	meta    magic 4 | version 4 | page size 4 | flags 4 | root 8 | sequence 8 |
//	        free list 8 | pages 8 | transaction 8 | FNV-1a 8
//	branch  position 4 | key size 4 | page 8
//	leaf    flags 4 | position 4 | key size 4 | value size 4
//	bucket  root 8 | sequence 8; where root is 0 a page follows inline
//
// A page with overflow goes on in as many pages after it. Positions count from
// the element.
const (
	pageHead   = 16
	element    = 16
	bucketHead = 16
	metaLen    = 64

	boltMagic   = 0xED0CDAED
	boltVersion = 2

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagFreelist = 0x10
	flagBucket   = 0x01 // of a leaf element

	noFreelist = ^uint64(0)
)

var order = binary.NativeEndian

// meta is the content of one of the two meta pages.
type meta struct {
	Magic, Version, PageSize, Flags            uint32
	Root, Sequence, Freelist, Pages, Txid, Sum uint64
}

// readMeta reads the meta page at an offset. It returns false if it is not a meta page.
func readMeta(r io.ReaderAt, off int64) (m meta, good bool) {
	var b [metaLen]byte
	if _, err := r.ReadAt(b[:], off+pageHead); err != nil {
		return m, false
	}
	_, _ = binary.Decode(b[:], order, &m) // fails for too few bytes alone
	sum := fnv.New64a()
	_, _ = sum.Write(b[:metaLen-8])
	return m, m.Magic == boltMagic && m.Version == boltVersion && m.Sum == sum.Sum64() &&
		m.PageSize >= 1024 && m.PageSize <= 1<<24 && m.PageSize&(m.PageSize-1) == 0
}

// newestMeta returns the meta page that bbolt would go by, and whether both are
// intact. Commits write them in turn: if one is damaged, the other describes the
// file before the last commit, and nothing shows what is missing.
func newestMeta(r io.ReaderAt) (newest meta, both bool, err error) {
	first, ok := readMeta(r, 0)
	for size := uint32(1024); size <= 1<<24; size *= 2 { // the first states where the second is
		if ok && size != first.PageSize {
			continue
		}
		second, too := readMeta(r, int64(size))
		switch too = too && second.PageSize == size; {
		case too && (!ok || second.Txid > first.Txid):
			return second, ok, nil
		case ok:
			return first, too, nil
		}
	}
	return meta{}, false, fmt.Errorf("%w: no valid meta page", ErrDamaged)
}

// page is a page with its overflow, or an inline one.
type page struct {
	flags uint16
	count int
	data  []byte // from its head on
}

func asPage(data []byte) page {
	return page{flags: order.Uint16(data[8:]), count: int(order.Uint16(data[10:])), data: data}
}

// field returns the nth 4-byte word of an element.
func (p *page) field(i, n int) uint64 {
	return uint64(order.Uint32(p.data[pageHead+i*element+4*n:]))
}

// fits reports whether all the elements are within the page.
func (p *page) fits() bool { return pageHead+p.count*element <= len(p.data) }

// cut returns n bytes of what element i points to, or nil if that isn't within
// the page.
func (p *page) cut(i int, pos, n uint64) []byte {
	from := uint64(pageHead+i*element) + pos
	if to := from + n; to <= uint64(len(p.data)) && from >= uint64(pageHead+p.count*element) {
		return p.data[from:to:to]
	}
	return nil
}

// branch returns the key and the page of element i.
func (p *page) branch(i int) (key []byte, id uint64) {
	return p.cut(i, p.field(i, 0), p.field(i, 1)), order.Uint64(p.data[pageHead+i*element+8:])
}

// leaf returns the flags, key and value of element i.
func (p *page) leaf(i int) (flags uint64, key, value []byte) {
	pos, n := p.field(i, 1), p.field(i, 2)
	return p.field(i, 0), p.cut(i, pos, n), p.cut(i, pos+n, p.field(i, 3))
}
