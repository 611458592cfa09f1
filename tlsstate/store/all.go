package store

import (
	"errors"
	"iter"
	"slices"
	"sort"

	"tlsratchet/tlsstate"
)

// scanBatch is how many records one read transaction of [File.All] covers, and
// scanPatience how many ReadTimeouts it may take.
const (
	scanBatch    = 500
	scanPatience = 50
)

// All returns the histories from start on (the zero Identity: all), ordered by
// kind and name, including pending ones, without damaged records. It may be
// slow, and the consumer may stop early; no transaction is open while the
// consumer works. A change made meanwhile may or may not be included. After the loop, the
// function returns why it ended early, or nil.
func (f *File) All(start tlsstate.Identity) (iter.Seq2[tlsstate.Identity, tlsstate.History], func() error) {
	var failed error
	seq := func(yield func(tlsstate.Identity, tlsstate.History) bool) {
		// Pending first: what is committed from now on is found on the disk.
		pending := f.table.pendingFrom(start)
		pass := func(all []entry) bool {
			for _, e := range all {
				if !yield(e.id, tlsstate.Merge(e.h, f.table.pendingOf(e.id))) {
					return false
				}
			}
			return true
		}
		for found, err := range batches(f.scan, start) {
			if failed = err; err != nil {
				return
			}
			n := 0
			if len(found) > 0 {
				last := found[len(found)-1]
				n = sort.Search(len(pending), func(i int) bool { return byIdentity(pending[i], last) > 0 })
			}
			if !pass(woven(found, pending[:n])) {
				return
			}
			pending = pending[n:]
		}
		pass(woven(nil, pending))
	}
	return seq, func() error { return failed }
}

// woven joins what is on the disk with what was pending, in order. What was to
// be deleted is left out.
func woven(found, pending []entry) []entry {
	all := slices.Concat(found, pending)
	slices.SortStableFunc(all, byIdentity)
	joined := all[:0]
	for _, e := range all {
		last := len(joined) - 1
		switch {
		case last < 0 || joined[last].id != e.id:
			joined = append(joined, e)
		case e.gone():
			joined[last] = e
		default:
			joined[last].h = tlsstate.Merge(joined[last].h, e.h)
		}
	}
	return slices.DeleteFunc(joined, func(e entry) bool { return e.gone() })
}

// batches yields the intact records from an identity on, some at a time, until
// the end or an error; damaged ones are left out. scan is that of a disk.
func batches(scan func([]byte, int) (batch, error), start tlsstate.Identity) iter.Seq2[[]entry, error] {
	return func(yield func([]entry, error) bool) {
		for key := appendKey(nil, start); key != nil; {
			b, err := scan(key, scanBatch)
			if errors.Is(err, tlsstate.ErrDamaged) {
				err = nil
			}
			if !yield(b.found, err) || err != nil {
				return
			}
			key = b.next
		}
	}
}

// scan is look, by a reader and within a time.
func (f *File) scan(key []byte, n int) (batch, error) {
	return ask(f, scanPatience*f.opts.ReadTimeout, func() (batch, error) { return f.look(key, n) })
}

// look is the scan of the disk.
func (f *File) look(key []byte, n int) (batch, error) {
	b, err := f.disk.scan(key, n)
	f.noteDamage(err)
	return b, err
}
