package maillog

import (
	"cmp"
	"context"
	"fmt"
	"hash/crc32"
	"hash/maphash"
	"math"
	"slices"
)

// merger reads sources in the order of time. A source is opened when the others
// have come to its first line.
type merger struct {
	*joiner
	sources []*source // that are not at their end, in the order of their first lines
	repeats repeats
	passes  uint32
}

func (m *merger) merge(ctx context.Context) {
	for len(m.sources) > 0 {
		first := slices.MinFunc(m.sources, func(a, b *source) int { return cmp.Compare(a.at, b.at) })
		until := int64(math.MaxInt64)
		for _, s := range m.sources {
			if s != first {
				until = min(until, s.at)
			}
		}
		more := false
		if first.pass == 0 {
			more = m.begin(ctx, first)
		} else {
			more = m.read(first, until)
		}
		if !more {
			m.sources = slices.DeleteFunc(m.sources, func(s *source) bool { return s == first })
		}
	}
}

// begin opens a source and reads up to its first event. It returns false if there
// is none.
func (m *merger) begin(ctx context.Context, s *source) bool {
	if s.stream == nil {
		if err := s.open(ctx, s.options.Progress); err != nil {
			m.stats.Problems = append(m.stats.Problems, s.problem(err))
			return false
		}
	}
	m.passes++
	s.pass, s.at, s.last = m.passes, math.MinInt64, math.MinInt64
	return s.next(&m.stats)
}

// read joins the events of a source up to a time. It returns false at the end of
// the source.
func (m *merger) read(s *source, until int64) bool {
	for {
		e := &s.event
		if e.at < s.last {
			m.passes++
			s.pass = m.passes
		}
		if e.at+day < s.at && !s.disorder {
			s.disorder = true
			m.stats.Problems = append(m.stats.Problems, fmt.Errorf("%s: its lines go back in time by more than a day, and were read in their order: give rotated logs as files of their own", s.Name))
		}
		s.last = e.at
		of := m.origin(e.source)
		if m.repeats.seen(e.place(), e.sum(of), s.pass) {
			m.stats.Repeated++
		} else {
			m.take(e, of)
		}
		if !s.next(&m.stats) {
			return false
		}
		if s.at >= until {
			return true
		}
	}
}

// repeats recognizes lines that were read already: in another source, or in an
// earlier part of the same. The same line may come several times in one second
// of one pass. Of another pass it counts only as often as it was not seen yet.
type repeats [1 << 13]struct {
	sum     uint64
	pass    uint32
	n, most uint16
}

func (r *repeats) seen(place, sum uint64, pass uint32) bool {
	l := &r[place%uint64(len(r))]
	if l.sum != sum {
		l.sum, l.pass, l.n, l.most = sum, pass, 1, 1
		return false
	}
	if l.pass != pass {
		l.pass, l.n = pass, 0
	}
	l.n++
	if l.n <= l.most {
		return true
	}
	l.most = l.n
	return false
}

var (
	seed       = maphash.MakeSeed()
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// sum is a hash of the line, by which a copy of it is recognized. Nobody can write a
// line that is taken for another's: it differs from run to run.
func (e *event) sum(of *origin) uint64 {
	return maphash.Bytes(seed, e.message) ^ (of.number<<32|uint64(e.pid))*0xff51afd7ed558ccd ^ uint64(e.at)*0x9e3779b97f4a7c15
}

// place is where a line is remembered, the same in each run. Whoever writes lines of the
// same place only has copies of these not recognized.
func (e *event) place() uint64 {
	h := uint64(crc32.Checksum(e.message, castagnoli))<<32 ^ uint64(e.pid)<<24 ^ uint64(e.at)
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h >> 33
}
