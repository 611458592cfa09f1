package store

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"

	"tlsratchet/tlsstate"
)

// census is what was found in a file.
type census struct {
	fresh   bool    // a new file, or one whose making was cut short
	records int     // that are intact
	damaged int     // records, and a meta page
	bad     []entry // damaged records, without a history: for put to delete
	newest  tlsstate.Day
}

// verify reads the whole file without mapping it: that every page is within
// it, of one use and in order, and how many records are intact. bbolt can be
// trusted with a file that passes; with others it may crash the process, in a
// goroutine that can't be guarded, or overwrite what is in use.
//
// Errors wrap [ErrDamaged] or [ErrNewerVersion].
func verify(f *os.File) (census, error) {
	info, err := f.Stat()
	if err != nil {
		return census{}, err
	}
	if info.Size() == 0 {
		return census{fresh: true}, nil
	}
	// In order first: the pages of a tree are all over the file, and one by one
	// they take three times as long to come from the disk.
	_, _ = io.Copy(io.Discard, f)
	v, err := newVerifier(f, info.Size())
	switch {
	case err == nil:
		return v.buckets()
	case v != nil && v.meta.Txid < 2: // nothing was ever committed
		return census{fresh: true}, nil
	}
	return census{}, err
}

// maxDepth is deeper than any tree of ours: each page holds at least two.
const maxDepth = 64

type verifier struct {
	r    io.ReaderAt
	meta meta
	used []uint64 // a bit for each page that something has claimed
	bufs [maxDepth][]byte
	low  []byte // no key that follows in the bucket is below it
	seen census
}

func newVerifier(r io.ReaderAt, size int64) (*verifier, error) {
	m, both, err := newestMeta(r)
	if err != nil {
		return nil, err
	}
	if m.Pages < 4 || m.Pages > uint64(size/int64(m.PageSize)) {
		return &verifier{meta: m}, fmt.Errorf("%w: cut short: %d bytes, want %d pages of %d", ErrDamaged, size, m.Pages, m.PageSize)
	}
	v := &verifier{r: r, meta: m, used: make([]uint64, m.Pages/64+1)}
	v.used[0] = 3 // the meta pages
	if !both {
		v.seen.damaged++
	}
	return v, v.freelist()
}

// claim marks n pages as used, once.
func (v *verifier) claim(id, n uint64) error {
	if id >= v.meta.Pages || n > v.meta.Pages-id {
		return fmt.Errorf("%w: page %d of %d", ErrDamaged, id, v.meta.Pages)
	}
	for ; n > 0; id, n = id+1, n-1 {
		if v.used[id/64]&(1<<(id%64)) != 0 {
			return fmt.Errorf("%w: page %d has two uses", ErrDamaged, id)
		}
		v.used[id/64] |= 1 << (id % 64)
	}
	return nil
}

// page reads and claims a page. What it returns is good until the next page of
// the same depth.
func (v *verifier) page(id uint64, depth int) (page, error) {
	if depth >= maxDepth {
		return page{}, fmt.Errorf("%w: page %d is too deep", ErrDamaged, id)
	}
	if id >= v.meta.Pages {
		return page{}, v.claim(id, 1)
	}
	b, err := v.read(v.bufs[depth], id, 1)
	if err != nil {
		return page{}, err
	}
	n := uint64(order.Uint32(b[12:])) + 1
	if order.Uint64(b) != id {
		return page{}, fmt.Errorf("%w: page %d is not there", ErrDamaged, id)
	}
	if err := v.claim(id, n); err != nil {
		return page{}, err
	}
	if n > 1 {
		b, err = v.read(b, id, n)
	}
	v.bufs[depth] = b
	return asPage(b), err
}

func (v *verifier) read(b []byte, id, n uint64) ([]byte, error) {
	want := int(n) * int(v.meta.PageSize)
	b = slices.Grow(b[:0], want)[:want]
	if _, err := v.r.ReadAt(b, int64(id)*int64(v.meta.PageSize)); err != nil {
		return nil, fmt.Errorf("%w: page %d: %w", ErrDamaged, id, err)
	}
	return b, nil
}

// freelist claims the pages that bbolt takes for free.
func (v *verifier) freelist() error {
	if v.meta.Freelist == noFreelist {
		return nil
	}
	p, err := v.page(v.meta.Freelist, 0)
	if err != nil {
		return err
	}
	ids, n := p.data[pageHead:], uint64(p.count)
	if p.count == 0xFFFF { // then the count is the first of the list
		n, ids = order.Uint64(ids), ids[8:]
	}
	if p.flags != flagFreelist || n > uint64(len(ids)/8) {
		return fmt.Errorf("%w: no free list", ErrDamaged)
	}
	for ; n > 0; n, ids = n-1, ids[8:] {
		if err := v.claim(order.Uint64(ids), 1); err != nil {
			return err
		}
	}
	return nil
}

// visit gets each element of the leaves below a page.
type visit func(flags uint64, key, value []byte) error

// tree goes through a tree of pages in the order of keys.
func (v *verifier) tree(id uint64, depth int, fn visit) error {
	p, err := v.page(id, depth)
	switch {
	case err != nil:
		return err
	case !p.fits():
		return fmt.Errorf("%w: page %d is too full", ErrDamaged, id)
	case p.flags == flagLeaf:
		return v.leaves(&p, fn)
	case p.flags != flagBranch || p.count == 0:
		return fmt.Errorf("%w: page %d is of unknown type", ErrDamaged, id)
	}
	for i := range p.count {
		key, child := p.branch(i)
		if err := v.ordered(key); err != nil {
			return err
		}
		if err := v.tree(child, depth+1, fn); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) leaves(p *page, fn visit) error {
	for i := range p.count {
		flags, key, value := p.leaf(i)
		if err := v.ordered(key); err != nil {
			return err
		}
		if v.low = append(v.low, 0); value == nil { // that is the next key
			return fmt.Errorf("%w: a value outside of its page", ErrDamaged)
		}
		if err := fn(flags, key, value); err != nil {
			return err
		}
	}
	return nil
}

// ordered checks that a key of a branch or a leaf is not below what was before it.
func (v *verifier) ordered(key []byte) error {
	if len(key) == 0 || bytes.Compare(key, v.low) < 0 {
		return fmt.Errorf("%w: out of order", ErrDamaged)
	}
	v.low = append(v.low[:0], key...)
	return nil
}

// buckets verifies what is in the file: the format first, since all else
// depends on it.
func (v *verifier) buckets() (census, error) {
	found := map[string][]byte{}
	err := v.tree(v.meta.Root, 0, func(flags uint64, key, value []byte) error {
		if flags != flagBucket || len(value) < bucketHead {
			return fmt.Errorf("%w: something beside the buckets", ErrDamaged)
		}
		found[string(key)] = bytes.Clone(value)
		return nil
	})
	if err != nil || len(found) == 0 {
		return census{fresh: err == nil}, err
	}
	meta, histories := found[string(bucketMeta)], found[string(bucketHistories)]
	if meta == nil {
		return census{}, fmt.Errorf("%w: not a history file", ErrDamaged)
	}
	known := false
	err = v.bucket(meta, func(flags uint64, key, value []byte) error {
		known = true
		return checkFormat(flags, key, value)
	})
	if err != nil {
		return census{}, err
	}
	if !known || histories == nil || len(found) != 2 {
		return census{}, fmt.Errorf("%w: not the buckets of its format", ErrDamaged)
	}
	err = v.bucket(histories, v.record)
	return v.seen, err
}

// bucket visits the elements of a bucket, inline or not.
func (v *verifier) bucket(b []byte, fn visit) error {
	v.low = v.low[:0]
	if root := order.Uint64(b); root != 0 {
		return v.tree(root, 0, fn)
	}
	inline := b[bucketHead:]
	if len(inline) < pageHead {
		return fmt.Errorf("%w: a bucket cut short", ErrDamaged)
	}
	if p := asPage(inline); p.flags == flagLeaf && p.fits() {
		return v.leaves(&p, fn)
	}
	return fmt.Errorf("%w: a bucket of unknown type", ErrDamaged)
}

// formatText says of which version a file is, with a checksum: else a flipped
// bit could make it look newer than it is.
func formatText(version int) []byte {
	text := fmt.Appendf(nil, "tlsratchet %d", version)
	return fmt.Appendf(text, " %08x", crc32.Checksum(text, castagnoli))
}

// checkFormat visits the meta bucket.
func checkFormat(flags uint64, key, value []byte) error {
	var version int
	var sum uint32
	_, err := fmt.Sscanf(string(value), "tlsratchet %d %x", &version, &sum)
	switch {
	case err != nil || flags != 0 || !bytes.Equal(key, keyFormat) || !bytes.Equal(value, formatText(version)):
		return fmt.Errorf("%w: no format", ErrDamaged)
	case version > Format:
		return fmt.Errorf("%w: format %d, this one knows %d", ErrNewerVersion, version, Format)
	case version != Format:
		return fmt.Errorf("%w: no format", ErrDamaged)
	}
	return nil
}

// record visits the histories.
func (v *verifier) record(flags uint64, key, value []byte) error {
	if flags != 0 {
		return fmt.Errorf("%w: something beside the records", ErrDamaged)
	}
	h, _, err := parseValue(key, value)
	switch {
	case errors.Is(err, tlsstate.ErrNewerVersion):
		return fmt.Errorf("%w: %w", ErrNewerVersion, err)
	case err != nil || !isKey(key):
		v.seen.damaged++
		v.seen.bad = append(v.seen.bad, entry{id: parseKey(key)})
	default:
		v.seen.records++
		v.seen.newest = max(v.seen.newest, h.Newest())
	}
	return nil
}
