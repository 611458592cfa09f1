package maillog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	// longestLine is the longest line that can be read.
	longestLine = 1 << 20
	// readSize is how much is read at once: so little that it stays in the
	// processor's cache.
	readSize = 1 << 18
	// progressEvery is after how many lines [Progress] is brought up to date.
	progressEvery = 1 << 12
)

// Read reads the sources and passes on the sessions in the order of time,
// whatever the order of the sources is. Sources that overlap are merged, and a
// line that is in several of them counts once. Read returns when all are read or
// ctx ends. An error means that a source cannot be opened, before anything was
// passed on, or that ctx ended. Memory is bounded by the clients, the processes
// and the messages of an hour, not by the lines.
func Read(ctx context.Context, sources []Source, o Options, sink Sink) (Stats, error) {
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
	found, problems, err := look(ctx, sources, &o)
	if err != nil {
		return Stats{}, err
	}
	for _, s := range found {
		o.Progress.Total.Add(s.size())
	}
	m := merger{joiner: newJoiner(sink, o.Now), sources: slices.Clone(found)}
	m.stats.Problems = problems
	m.merge(ctx)
	stats := m.close()
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

// next reads up to the next event. It returns false at the end of the source,
// which is then closed.
func (s *source) next(stats *Stats) bool {
	for {
		line, err := s.stream.ReadSlice('\n')
		if len(line) == 0 {
			s.done()
			s.stream = nil
			if !errors.Is(err, io.EOF) {
				stats.Problems = append(stats.Problems, s.problem(err))
			}
			return false
		}
		if stats.Lines++; stats.Lines%progressEvery == 0 {
			s.options.Progress.Lines.Store(stats.Lines)
		}
		tooLong := err == bufio.ErrBufferFull
		for err == bufio.ErrBufferFull {
			_, err = s.stream.ReadSlice('\n')
		}
		found := false
		switch {
		case tooLong:
			stats.Broken++
		case s.form == formLines:
			found = s.parser.line(bytes.TrimSuffix(line, newline), &s.event.record)
		default:
			found = s.several(line, err != nil)
		}
		if found && s.event.read(stats) {
			s.at = max(s.at, s.event.record.at)
			s.read++
			return true
		}
	}
}

// several gathers the lines of a record, and reads it when the last one is there.
func (s *source) several(line []byte, last bool) bool {
	s.block = append(s.block, line...)
	if !s.form.ends(line) && !last && len(s.block) < longestLine {
		return false
	}
	block := s.block
	s.block, s.event.record = block[:0], record{}
	return ofInterest(block) && s.parser.read(block, s.form, &s.event.record)
}

// input counts what is read, and ends with the context.
type input struct {
	io.Reader
	ctx      context.Context
	progress *Progress
}

func (in input) Read(b []byte) (int, error) {
	if err := context.Cause(in.ctx); err != nil {
		return 0, err
	}
	n, err := in.Reader.Read(b[:min(len(b), readSize)])
	in.progress.Bytes.Add(int64(n))
	return n, err
}

// problem adds what was wrong with a source.
func (s *source) problem(err error) error {
	return fmt.Errorf("%s: read as far as it goes: %w", s.Name, reason(err))
}
