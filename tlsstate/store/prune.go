package store

import (
	"cmp"
	"context"
	"iter"
	"math/bits"
	"sort"
	"time"

	"tlsratchet/internal/loop"
	"tlsratchet/tlsstate"
)

// A file holds no more identities than its cap, and forgets what nobody has
// seen for long. Over the cap those go first that were seen on one day and have
// no pin; then the heaviest operator's, pinned or not, down to what the next
// heaviest has. So a flood pushes out itself: it weighs more than anybody whom
// it could push out. Within one operator the oldest strangers go first, then
// the youngest of the others, for those were there before the flood.
//
// What operators of ours did (unpin, forget), listeners, and what was imported
// without a network are never weighed.

// tombstoneDays is how long a forgotten identity is kept as a tombstone.
const tombstoneDays = 360

// A rank is one step in the order in which an operator's identities go, by age
// in powers of two of days: strangers, the others without a pin, the pinned.
const (
	ages      = 8
	strangers = ages
	ranks     = 3 * ages
)

// operator is what one operator has: about 100,000 of them exist.
type operator struct {
	has  [ranks]uint32
	cut  int // ranks below it go
	left int // and so many of this one
}

// class is the ranks of strangers, or those of the others.
type class struct{ from, to int }

var classes = [2]class{{0, strangers}, {strangers, ranks}}

func (o *operator) count(of class) (n int) {
	for _, m := range o.has[of.from:of.to] {
		n += int(m)
	}
	return n
}

// drop marks the first n as to be forgotten.
func (o *operator) drop(n int) {
	for o.cut = 0; o.cut < ranks && n >= int(o.has[o.cut]); o.cut++ {
		n -= int(o.has[o.cut])
	}
	o.left = n
}

// pruning is one pass of weighing, and one of choosing.
type pruning struct {
	newest    tlsstate.Day
	keepDays  int
	operators map[network]*operator

	aged, strangers, others int
}

func newPruning(newest tlsstate.Day, keepDays int) *pruning {
	return &pruning{newest: newest, keepDays: keepDays, operators: map[network]*operator{}}
}

// tooOld reports whether the identity was not seen for so long that it may be
// forgotten.
func (p *pruning) tooOld(h *tlsstate.History) bool {
	keep := p.keepDays
	if h.Tombstone() {
		keep = tombstoneDays
	}
	return int(p.newest)-int(h.Newest()) > keep
}

// rank returns the operator of an identity, 0 if it is not weighed, and its
// place in the order.
func (p *pruning) rank(e *entry) (network, int) {
	if e.h.Epoch != 0 || e.id.Kind == tlsstate.Listener {
		return 0, 0
	}
	age := min(bits.Len(uint(max(int(p.newest)-int(e.h.First), 0))), ages-1)
	rank := strangers + age
	switch {
	case stranger(&e.h):
		rank = ages - 1 - age
	case pinned(&e.h):
		rank += ages
	}
	return e.network().operator(), rank
}

func (p *pruning) weigh(e *entry) {
	if p.tooOld(&e.h) {
		p.aged++
		return
	}
	n, rank := p.rank(e)
	if n == 0 {
		return
	}
	o := p.operators[n]
	if o == nil {
		o = &operator{}
		p.operators[n] = o
	}
	o.has[rank]++
}

// plan decides who goes, so that need of those who were weighed do, or all.
func (p *pruning) plan(need int) {
	p.strangers = min(need, p.above(0, classes[0]))
	p.others = min(need-p.strangers, p.above(0, classes[1]))
	one, other := p.level(p.strangers, classes[0]), p.level(p.others, classes[1])
	for _, o := range p.operators {
		o.drop(max(o.count(classes[0])-one, 0) + max(o.count(classes[1])-other, 0))
	}
}

// level returns the most that each operator may keep if need are to go.
func (p *pruning) level(need int, of class) int {
	most := 0
	for _, o := range p.operators {
		most = max(most, o.count(of))
	}
	return sort.Search(most, func(level int) bool { return p.above(level+1, of) < need })
}

// above returns how many are above a level.
func (p *pruning) above(level int, of class) (n int) {
	for _, o := range p.operators {
		n += max(o.count(of)-level, 0)
	}
	return n
}

// goes reports whether an identity is to be forgotten.
func (p *pruning) goes(e *entry) bool {
	if p.tooOld(&e.h) {
		return true
	}
	n, rank := p.rank(e)
	o := p.operators[n]
	switch {
	case o == nil || rank > o.cut:
		return false
	case rank == o.cut:
		o.left--
		return o.left >= 0
	}
	return true
}

// prune removes identities that are too old. Over the cap it removes a tenth more
// than it must, so that it need not begin again at once. It returns how many.
func (f *File) prune() (int, error) {
	if err := f.Flush(context.Background()); err != nil {
		return 0, err // what isn't on the disk can't be weighed
	}
	p, err := f.weigh(f.today())
	if err == nil && 2*p.aged > f.Len() {
		f.log.Warn("most identities seem too old to be kept: none was removed; is the clock right?", "path", f.path, "today", p.newest.String(), "old", p.aged)
		p, err = f.weigh(0)
	}
	if err != nil {
		return 0, err
	}
	if known := f.Len() - p.aged; known > f.opts.MaxIdentities {
		p.plan(known - f.opts.MaxIdentities*9/10)
	}
	if p.aged+p.strangers+p.others == 0 {
		return 0, nil
	}
	f.logPruning(p)
	total := 0
	for batch, err := range f.paced() {
		n, failed := f.drop(p, batch)
		total += n
		if err = cmp.Or(err, failed); err != nil {
			return total, err
		}
	}
	return total, nil
}

// today is the day that ages are counted from: the newest that is known, as long as
// it has come. A record of a clock that was ahead makes nobody old.
func (f *File) today() tlsstate.Day { return min(f.Newest(), tlsstate.DayOf(time.Now())) }

// weigh weighs all that is in the file. On day 0 nobody is too old.
func (f *File) weigh(today tlsstate.Day) (*pruning, error) {
	p := newPruning(today, max(f.opts.KeepDays(), tombstoneDays))
	for batch, err := range f.paced() {
		if err != nil {
			return nil, err
		}
		for i := range batch {
			p.weigh(&batch[i])
		}
	}
	return p, nil
}

// drop forgets the chosen identities of a batch.
func (f *File) drop(p *pruning, batch []entry) (int, error) {
	going := batch[:0]
	for i := range batch {
		if p.goes(&batch[i]) {
			going = append(going, batch[i])
		}
	}
	n := f.table.remove(going)
	loop.Wake(f.wake)
	return n, f.yield()
}

// paced yields what is in the file in batches, until the end or an error: at half
// of the speed that it could, unless newcomers are turned away meanwhile.
func (f *File) paced() iter.Seq2[[]entry, error] {
	return func(yield func([]entry, error) bool) {
		began := time.Now()
		for found, err := range batches(f.scan, tlsstate.Identity{}) {
			if !yield(found, err) {
				return
			}
			took := time.Since(began)
			if f.table.full() {
				took = 0
			}
			if err := f.pause(took); err != nil {
				yield(nil, err)
				return
			}
			began = time.Now()
		}
	}
}

// logPruning logs one line a day.
func (f *File) logPruning(p *pruning) {
	if p.newest == f.pruningLogged {
		return
	}
	f.pruningLogged = p.newest
	write, text := f.log.Info, "pruning: identities that were not seen for long are forgotten"
	if p.strangers+p.others > 0 {
		write, text = f.log.Warn, "pruning: more identities than the cap; the least known and those of the heaviest networks are forgotten; further ones today are counted, not logged"
	}
	write(text, "path", f.path, "identities", f.Len(), "cap", f.opts.MaxIdentities,
		"aged", p.aged, "one_day", p.strangers, "heaviest", p.others, "forgotten_before", f.Stats().Pruned)
}
