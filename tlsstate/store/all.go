package store

import (
	"iter"

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
	var err error
	seq := func(yield func(tlsstate.Identity, tlsstate.History) bool) {
		// Pending first: what is committed from now on is found on the disk.
		w := walk{pending: f.table.pendingFrom(start), yield: func(e entry) bool {
			return yield(e.id, tlsstate.Merge(e.h, f.table.pendingOf(e.id)))
		}}
		err = f.walk(&w, appendKey(nil, start))
	}
	return seq, func() error { return err }
}

// batch is what a scan found, and the key to go on with.
type batch struct {
	found []entry
	next  []byte
}

func (f *File) batch(key []byte) (batch, error) {
	b, err := ask(f, scanPatience*f.opts.ReadTimeout, func() (b batch, err error) {
		b.found, b.next, err = f.disk.scan(key, scanBatch)
		return b, err
	})
	f.noteDamage(err)
	return b, err
}

func (f *File) walk(w *walk, key []byte) error {
	for key != nil {
		b, err := f.batch(key)
		if err != nil {
			return err
		}
		for _, e := range b.found {
			if !w.to(e) {
				return nil
			}
		}
		key = b.next
	}
	w.rest()
	return nil
}

// walk weaves what was pending into what is on the disk.
type walk struct {
	pending []entry
	yield   func(entry) bool
}

// to yields what is pending before e, then e joined with what is pending for
// it. It returns false when the consumer has enough.
func (w *walk) to(e entry) bool {
	for len(w.pending) > 0 {
		p := w.pending[0]
		order := byIdentity(p, e)
		if order > 0 {
			break
		}
		w.pending = w.pending[1:]
		if order == 0 && p.gone() {
			return true
		}
		if order == 0 {
			e.h = tlsstate.Merge(e.h, p.h)
			break
		}
		if !p.gone() && !w.yield(p) {
			return false
		}
	}
	return w.yield(e)
}

func (w *walk) rest() {
	for _, p := range w.pending {
		if !p.gone() && !w.yield(p) {
			return
		}
	}
}
