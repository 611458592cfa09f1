package store

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// crafted is a good file of some pages, taken apart.
type crafted struct {
	b    []byte
	size int // of a page
	meta meta
	root int // the page of the histories' branch
}

func craft(t *testing.T) *crafted {
	t.Helper()
	c := &crafted{b: read(t, fill(t, 300))}
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(c.b); err != nil {
		t.Fatal(err)
	}
	if c.meta, _, err = newestMeta(file); err != nil {
		t.Fatal(err)
	}
	c.size = int(c.meta.PageSize)
	buckets := c.page(int(c.meta.Root))
	for i := range buckets.count {
		if _, key, value := buckets.leaf(i); string(key) == string(bucketHistories) {
			c.root = int(order.Uint64(value))
		}
	}
	if c.page(c.root).flags != flagBranch {
		t.Fatal("the histories have no branch")
	}
	return c
}

func (c *crafted) page(id int) page { return asPage(c.b[id*c.size:][:c.size]) }

// free puts a page on the free list.
func (c *crafted) free(id uint64) {
	p := c.page(int(c.meta.Freelist))
	order.PutUint64(p.data[pageHead+8*p.count:], id)
	order.PutUint16(p.data[10:], uint16(p.count+1))
}

// child makes element i of the branch point to a page.
func (c *crafted) child(i int, id uint64) {
	order.PutUint64(c.page(c.root).data[pageHead+i*element+8:], id)
}

// What bbolt would take at its word, and then crash, recurse for ever or write
// over what is in use.
func TestFilesThatLie(t *testing.T) {
	tests := []struct {
		name string
		do   func(c *crafted)
		text string
	}{
		{"a leaf is free", func(c *crafted) { _, id := c.leafOf(0); c.free(id) }, "two uses"},
		{"a meta page is free", func(c *crafted) { c.free(0) }, "two uses"},
		{"what isn't there is free", func(c *crafted) { c.free(c.meta.Pages) }, "page"},
		{"a long free list", func(c *crafted) {
			order.PutUint16(c.page(int(c.meta.Freelist)).data[10:], 0xFFFF)
			order.PutUint64(c.page(int(c.meta.Freelist)).data[pageHead:], 1<<40)
		}, "no free list"},
		{"a circle", func(c *crafted) { c.child(0, uint64(c.root)) }, "two uses"},
		{"a leaf twice", func(c *crafted) { _, id := c.leafOf(0); c.child(1, id) }, ""},
		{"a child outside", func(c *crafted) { c.child(0, 1<<50) }, "page"},
		{"a meta page for a child", func(c *crafted) { c.child(0, 1) }, ""},
		{"overflow without end", func(c *crafted) {
			_, id := c.leafOf(0)
			order.PutUint32(c.page(int(id)).data[12:], 1<<31)
		}, "page"},
		{"overflow past the end", func(c *crafted) {
			_, id := c.leafOf(0)
			order.PutUint32(c.page(int(id)).data[12:], uint32(c.meta.Pages-id))
		}, " of "},
		{"too many elements", func(c *crafted) {
			_, id := c.leafOf(0)
			order.PutUint16(c.page(int(id)).data[10:], 60_000)
		}, "too full"},
		{"a key outside of its page", func(c *crafted) {
			_, id := c.leafOf(0)
			order.PutUint32(c.page(int(id)).data[pageHead+4:], 1<<30)
		}, "out of order"},
		{"a key among the elements", func(c *crafted) {
			_, id := c.leafOf(0)
			order.PutUint32(c.page(int(id)).data[pageHead+4:], 0)
		}, "out of order"},
		{"a key of nothing in a branch", func(c *crafted) { order.PutUint32(c.page(c.root).data[pageHead+4:], 0) }, "out of order"},
		{"a key in two leaves", func(c *crafted) {
			_, id := c.leafOf(0)
			next, _ := c.leafOf(1)
			p := c.page(int(id))
			_, last, _ := p.leaf(p.count - 1)
			if copy(last, next) != len(next) || len(last) != len(next) {
				panic("keys of different lengths")
			}
		}, "out of order"},
		{"a key twice in a leaf", func(c *crafted) {
			_, id := c.leafOf(0)
			p := c.page(int(id))
			for i := 1; ; i++ {
				_, a, _ := p.leaf(i - 1)
				if _, b, _ := p.leaf(i); copy(b, a) == len(b) && len(a) == len(b) {
					return
				}
			}
		}, "out of order"},
		{"two keys exchanged", func(c *crafted) {
			_, id := c.leafOf(0)
			p := c.page(int(id))
			for i := 2; ; i++ {
				_, a, _ := p.leaf(i - 1)
				if _, b, _ := p.leaf(i); len(a) == len(b) {
					was := string(a)
					copy(a, b)
					copy(b, was)
					return
				}
			}
		}, "out of order"},
		{"another's value beside the buckets", func(c *crafted) { order.PutUint32(c.bucket("histories"), 0) }, "beside the buckets"},
		{"a bucket of a few bytes", func(c *crafted) { order.PutUint32(c.bucket("histories")[12:], 8) }, "beside the buckets"},
		{"an inline branch", func(c *crafted) { order.PutUint16(c.inline().data[8:], flagBranch) }, "unknown type"},
		{"too many elements inline", func(c *crafted) { order.PutUint16(c.inline().data[10:], 60_000) }, "unknown type"},
		{"a branch of nothing", func(c *crafted) { order.PutUint16(c.page(c.root).data[10:], 0) }, "unknown type"},
	}
	for _, tt := range tests {
		c := craft(t)
		tt.do(c)
		path := newPath(t)
		if err := os.WriteFile(path, c.b, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path, Options{})
		if err == nil {
			mustClose(t, f)
		}
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// bucket returns the element of a bucket.
func (c *crafted) bucket(name string) []byte {
	p := c.page(int(c.meta.Root))
	for i := range p.count {
		if _, key, _ := p.leaf(i); string(key) == name {
			return p.data[pageHead+i*element:]
		}
	}
	panic("no bucket " + name)
}

// inline returns the page in the bucket of the format.
func (c *crafted) inline() page {
	head := c.bucket(string(bucketMeta))
	return asPage(head[order.Uint32(head[4:])+order.Uint32(head[8:])+bucketHead:])
}

// leafOf returns the key and the page of child i.
func (c *crafted) leafOf(i int) ([]byte, uint64) {
	p := c.page(c.root)
	return p.branch(i)
}
