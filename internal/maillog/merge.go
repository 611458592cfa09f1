package maillog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
)

// merger reads sources in the order of time. A source is opened when the others
// have come to its first line.
type merger struct {
	joiner  *joiner
	options *Options
	waiting []*source
	open    []*input
	wg      sync.WaitGroup
	repeats repeats
	passes  uint32
}

// input is a source that is being read.
type input struct {
	*feed
	batch *batch
	next  int // event of the batch
	// now is the latest time so far, last that of the last event. Each time the
	// source goes back in time a new pass begins.
	now, last int64
	pass      uint32
	disorder  bool // it went back by more than a day
}

func (m *merger) merge(ctx context.Context) {
	for ctx.Err() == nil {
		in, until := m.earliest(ctx)
		if in == nil {
			return
		}
		m.read(ctx, in, until)
	}
}

// earliest returns the input whose next event is the earliest, and until which
// time it is.
func (m *merger) earliest(ctx context.Context) (first *input, until int64) {
	for {
		first, until = nil, math.MaxInt64
		for _, in := range m.open {
			switch at := in.at(); {
			case first == nil || at < first.at():
				if first != nil {
					until = min(until, first.at())
				}
				first = in
			default:
				until = min(until, at)
			}
		}
		if len(m.waiting) == 0 {
			return first, until
		}
		if next := m.waiting[0]; first != nil && next.first > first.at() {
			return first, min(until, next.first)
		}
		m.start(ctx, m.waiting[0])
		m.waiting = m.waiting[1:]
	}
}

func (m *merger) start(ctx context.Context, s *source) {
	in := &input{feed: newFeed(s, m.options, m.joiner.sink.Deliveries != nil), now: math.MinInt64, last: math.MinInt64}
	m.wg.Add(1)
	go in.run(ctx, &m.wg)
	m.passes++
	in.pass = m.passes
	m.open = append(m.open, in)
	m.fill(in)
}

var errDisorder = errors.New("it goes back in time by more than a day, and was read in the order in which it is: give rotated logs as files of their own")

// at returns when the next event is, never earlier than the ones before it.
func (in *input) at() int64 { return max(in.now, in.batch.events[in.next].at) }

// read joins the events of an input up to a time.
func (m *merger) read(ctx context.Context, in *input, until int64) {
	for {
		e := &in.batch.events[in.next]
		if e.at < in.last {
			m.passes++
			in.pass = m.passes
		}
		if e.at+day < in.now && !in.disorder {
			in.disorder = true
			m.joiner.stats.Problems = append(m.joiner.stats.Problems, fmt.Errorf("%s: %w", in.source.Name, errDisorder))
		}
		in.now, in.last = max(in.now, e.at), e.at
		if m.repeats.seen(e.sum, in.pass) {
			m.joiner.stats.Repeated++
		} else {
			m.joiner.take(e, in.batch.sources[e.source])
		}
		if in.next++; in.next == len(in.batch.events) && !m.fill(in) || ctx.Err() != nil || in.at() >= until {
			return
		}
	}
}

// fill gets the next batch that has events. It returns false at the end, when the
// input is not open any more.
func (m *merger) fill(in *input) bool {
	stats := &m.joiner.stats
	for {
		if in.batch != nil {
			in.free <- in.batch
		}
		b, ok := <-in.batches
		if !ok {
			break
		}
		stats.Lines, stats.Smtpd, stats.Broken = stats.Lines+b.lines, stats.Smtpd+b.smtpd, stats.Broken+b.broken
		in.source.read += int64(len(b.events))
		if m.options.Progress != nil {
			m.options.Progress.Lines.Add(b.lines)
		}
		if b.err != nil {
			stats.Problems = append(stats.Problems, in.source.problem(b.err))
		}
		if in.batch, in.next = b, 0; len(b.events) > 0 {
			return true
		}
	}
	for i := range m.open {
		if m.open[i] == in {
			m.open = append(m.open[:i], m.open[i+1:]...)
			break
		}
	}
	return false
}

// repeats recognizes lines that were read already: in another source, or in an
// earlier part of the same. The same line may come several times in one second
// of one pass. Of another pass it counts only as often as it was not seen yet.
type repeats [1 << 13]struct {
	sum     uint64
	pass    uint32
	n, most uint16
}

func (r *repeats) seen(sum uint64, pass uint32) bool {
	l := &r[sum%uint64(len(r))]
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
