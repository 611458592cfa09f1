package maillog

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"sync"
	"time"
)

const (
	// longestLine is the longest line that can be read.
	longestLine = 1 << 20
	// readSize is how much is read at once: so little that it stays in the
	// processor's cache.
	readSize = 1 << 18
	// A batch is passed on when it has so many events, or has read so many lines.
	batchEvents, batchLines = 1 << 9, 1 << 12
)

// Read reads the sources and passes on the sessions in the order of time,
// whatever the order of the sources is. Sources that overlap are merged, and a
// line that is in several of them counts once. Read returns when all are read or
// ctx ends. An error means that a source cannot be opened, before anything was
// passed on, or that ctx ended. Memory is bounded by the clients, the processes
// and the messages of an hour, not by the lines.
func Read(ctx context.Context, sources []Source, o Options, sink Sink) (Stats, error) {
	if o.Location == nil {
		o.Location = time.Local
	}
	found, problems, err := look(sources, &o)
	if err != nil {
		return Stats{}, err
	}
	if o.Progress != nil {
		for _, s := range found {
			o.Progress.Total.Add(s.size())
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	j := newJoiner(sink, o.Now)
	j.stats.Problems = problems
	m := merger{joiner: j, waiting: found, options: &o}
	defer m.wg.Wait()
	defer cancel()
	m.merge(ctx)
	stats := j.close()
	for _, s := range found {
		if err := s.unread(); err != nil {
			stats.Problems = append(stats.Problems, err)
		}
		if s.guessed && !slices.Contains(stats.Years, s.year) {
			stats.Years = append(stats.Years, s.year)
		}
	}
	return stats, context.Cause(ctx)
}

// batch is what some lines of a source hold.
type batch struct {
	events []event
	// sources are the "host program" of the events.
	sources [][]byte
	// texts is what the events' texts lie in.
	texts []byte
	// lines, smtpd and broken count lines.
	lines, smtpd, broken int64
	// err is why the source ended, in its last batch.
	err error
}

// keep copies a text into the batch.
func (b *batch) keep(text []byte) []byte {
	if cap(b.texts)-len(b.texts) < len(text) {
		b.texts = make([]byte, 0, max(1<<16, len(text)))
	}
	n := len(b.texts)
	b.texts = append(b.texts, text...)
	return b.texts[n:len(b.texts):len(b.texts)]
}

// feed reads one source in a goroutine of its own.
type feed struct {
	source  *source
	parser  parser
	batches chan *batch
	free    chan *batch
	options *Options
	record  record
	long    []byte // a line longer than readSize
	block   []byte // a record of several lines
}

var seed = maphash.MakeSeed()

func newFeed(s *source, o *Options, sending bool) *feed {
	const batches = 3 // one being filled, one waiting, one being joined
	f := &feed{
		source: s, options: o, batches: make(chan *batch, batches), free: make(chan *batch, batches),
		parser: parser{clock: clock{loc: o.Location, year: s.year}, sending: sending},
	}
	for range batches {
		f.free <- &batch{}
	}
	return f
}

// run reads the source to its end.
func (f *feed) run(ctx context.Context, wg *sync.WaitGroup) {
	defer wg.Done()
	defer close(f.batches)
	var err error
	if f.source.stream == nil {
		err = f.source.open(f.options.Progress)
	}
	if err != nil {
		f.batches <- &batch{err: err}
		return
	}
	defer f.source.done()
	for err == nil {
		var b *batch
		select {
		case b = <-f.free:
		case <-ctx.Done():
			return
		}
		*b = batch{events: b.events[:0], sources: b.sources[:0], texts: b.texts[:0]}
		for err == nil && len(b.events) < batchEvents && b.lines < batchLines {
			err = f.next(f.source.stream, b)
		}
		if err != io.EOF {
			b.err = err
		}
		f.batches <- b
	}
}

// next reads one line, or one record of several lines, into the batch.
func (f *feed) next(in *bufio.Reader, b *batch) error {
	line, err := f.line(in, b)
	switch {
	case len(line) == 0 && err != nil:
		return err
	case line == nil:
		b.broken++
	case f.source.form.several():
		f.several(line, err != nil, b)
	case f.parser.line(bytes.TrimSuffix(line, newline), &f.record):
		f.add(b)
	}
	return err
}

// line returns the next line, with its end; nil for one that is too long.
func (f *feed) line(in *bufio.Reader, b *batch) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if len(line) > 0 {
		b.lines++
	}
	if err != bufio.ErrBufferFull {
		return line, err
	}
	f.long = append(f.long[:0], line...)
	for err == bufio.ErrBufferFull {
		if line, err = in.ReadSlice('\n'); len(f.long) <= longestLine {
			f.long = append(f.long, line...)
		}
	}
	if len(f.long) > longestLine {
		return nil, err
	}
	return f.long, err
}

// several gathers the lines of a record.
func (f *feed) several(line []byte, last bool, b *batch) {
	f.block = append(f.block, line...)
	ended := f.source.form.ends(line)
	if !ended && !last && len(f.block) < longestLine {
		return
	}
	f.record = record{}
	if (f.source.form == formExport || f.parser.ofInterest(f.block)) && f.parser.read(f.block, f.source.form, &f.record) {
		f.add(b)
	}
	f.block = f.block[:0]
}

// add adds the event of a record to the batch.
func (f *feed) add(b *batch) {
	r := &f.record
	e := event{at: r.at, pid: r.pid}
	switch r.program {
	case damaged:
		b.smtpd, b.broken = b.smtpd+1, b.broken+1
		return
	case logger:
		n, ok := lost(r.message)
		if !ok {
			return
		}
		e.kind, e.count = kindGap, n
	case sending:
		if !f.parser.sending {
			return
		}
		e.kind, e.text = kindDelivery, r.message
	default:
		b.smtpd++
		if !e.read(r.message) {
			return
		}
	}
	if e.kind == kindBroken {
		b.broken++
	}
	e.source = b.source(r.source)
	e.sum = maphash.Bytes(seed, r.message) ^ maphash.Bytes(seed, r.source) ^ uint64(e.at)*0x9e3779b97f4a7c15 ^ uint64(e.pid)<<40
	e.client, e.text = b.keep(e.client), b.keep(e.text)
	b.events = append(b.events, e)
}

// read reads a message of smtpd(8). A message that was cut, or has another line
// in its middle, is a kindBroken.
func (e *event) read(message []byte) bool {
	if e.message(message) {
		return true
	}
	e.kind = kindBroken
	return cutShort(message) || bytes.Contains(message, smtpdTag)
}

// source returns the place of a source among those of the batch.
func (b *batch) source(text []byte) int32 {
	const near = 8 // of more hosts and services at a time some are there twice
	for i := len(b.sources) - 1; i >= max(0, len(b.sources)-near); i-- {
		if string(b.sources[i]) == string(text) {
			return int32(i)
		}
	}
	b.sources = append(b.sources, b.keep(text))
	return int32(len(b.sources) - 1)
}

// counted counts what is read.
type counted struct {
	io.Reader
	progress *Progress
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	if c.progress != nil {
		c.progress.Bytes.Add(int64(n))
	}
	return n, err
}

// problem adds what was wrong with a source.
func (s *source) problem(err error) error {
	return fmt.Errorf("%s: read as far as it goes: %w", s.Name, reason(err))
}
