package maillog

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"
)

const (
	// chunkSize is the longest line that can be read.
	chunkSize = 1 << 20
	// readSize is how much is read and parsed at once: so little that it stays
	// in the processor's cache.
	readSize = 1 << 18
)

// Read reads the sources, in the order of their first lines and whatever the
// order they are given in, and passes on what they tell. It returns when all
// are read or ctx ends. An error means that a source can't be opened, before
// anything was passed on, or that ctx ended. Memory is bounded by the clients
// and the processes, not by the lines.
func Read(ctx context.Context, sources []Source, o Options, sink Sink) (Stats, error) {
	if o.Location == nil {
		o.Location = time.Local
	}
	found, problems, err := look(sources, &o)
	if err != nil {
		return Stats{}, err
	}
	if o.Progress != nil {
		var total int64
		for _, s := range found {
			total += s.size()
		}
		o.Progress.Total.Store(total)
	}
	j := newJoiner(sink, o.Now)
	r := newReader(o)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range r.workers {
		wg.Go(r.parse)
	}
	wg.Go(func() { r.read(ctx, found) })
	for c := range r.ordered {
		<-c.parsed
		j.join(c)
		if o.Progress != nil {
			o.Progress.Lines.Add(c.lines)
		}
		r.free <- c
	}
	stats := j.close()
	stats.Broken += r.tooLong
	stats.Lines += r.tooLong
	stats.Problems = append(problems, r.problems...)
	return stats, context.Cause(ctx)
}

// reader cuts sources into chunks, which are parsed at the same time and joined
// in order.
type reader struct {
	options  Options
	workers  int
	free     chan *chunk
	work     chan *chunk
	ordered  chan *chunk
	problems []error
	tooLong  int64 // lines
}

func newReader(o Options) *reader {
	n := o.Workers
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	all := n + 2 // one being filled, one being joined
	r := &reader{options: o, workers: n, free: make(chan *chunk, all), work: make(chan *chunk, all), ordered: make(chan *chunk, all)}
	for range all {
		r.free <- &chunk{buf: make([]byte, chunkSize), parsed: make(chan struct{}, 1)}
	}
	return r
}

func (r *reader) parse() {
	for c := range r.work {
		c.parse()
		c.parsed <- struct{}{}
	}
}

// read cuts all sources into chunks.
func (r *reader) read(ctx context.Context, all []*source) {
	defer close(r.work)
	defer close(r.ordered)
	for _, s := range all {
		if err := r.one(ctx, s); err != nil {
			if ctx.Err() != nil {
				return
			}
			r.problems = append(r.problems, fmt.Errorf("%s: read as far as it goes: %w", s.Name, reason(err)))
		}
	}
}

func (r *reader) one(ctx context.Context, s *source) error {
	if s.stream != nil {
		defer s.done()
		return r.cut(ctx, s, s.stream)
	}
	f, err := os.Open(s.Name)
	if err != nil {
		return err
	}
	defer f.Close()
	plain, _, done, err := decompressed(counted{f, r.options.Progress})
	if err != nil {
		return err
	}
	defer done()
	return r.cut(ctx, s, plain)
}

// cut makes chunks of whole lines. It returns what ended the source too early.
func (r *reader) cut(ctx context.Context, s *source, in io.Reader) error {
	years := clock{loc: r.options.Location, year: s.year}
	var rest []byte // of a line that the next chunk goes on with
	skip := false   // in a line that is too long
	for {
		var c *chunk
		select {
		case c = <-r.free:
		case <-ctx.Done():
			return ctx.Err()
		}
		n := copy(c.buf, rest)
		m, err := fill(in, c.buf[n:min(n+readSize, chunkSize)])
		data := c.buf[:n+m]
		if skip {
			data, skip = afterLine(data)
		}
		end := len(data)
		if err == nil {
			end = bytes.LastIndexByte(data, '\n') + 1
		}
		if end == 0 && len(data) == len(c.buf) {
			r.tooLong++
			data, skip = nil, true
		}
		rest = append(rest[:0], data[end:]...)
		c.data, c.json = data[:end], s.json
		c.clock = years.begin(c.data)
		r.ordered <- c
		r.work <- c
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// fill reads until b is full or the source ends, however that is.
func fill(in io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = in.Read(b[n:])
		n += m
	}
	return n, err
}

// afterLine returns what follows the line that data begins in the middle of,
// and whether that line goes on after data.
func afterLine(data []byte) (rest []byte, goesOn bool) {
	i := bytes.IndexByte(data, '\n')
	if i < 0 {
		return nil, true
	}
	return data[i+1:], false
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
