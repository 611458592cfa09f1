package maillog

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"
)

// Source is one log: a file, or a stream such as standard input.
type Source struct {
	// Name is the path of the file, or what to call the stream.
	Name string
	// Stream is nil for a file. It is not closed.
	Stream io.Reader
}

// headSize is how much of a source is looked at before it is read, and how much
// of it must hold a time for it to be a log.
const headSize = 1 << 16

// source is a Source that was looked at.
type source struct {
	Source
	info   os.FileInfo // nil for a stream
	stream *bufio.Reader
	done   func() // after the stream was read
	head   []byte
	json   bool
	// first is the time of the first line that has one, math.MaxInt64 if none
	// has. year is the year that it begins in, for times without one.
	first int64
	year  int
}

// look opens every source and puts them in the order of their first lines. The
// error is for those that can't be read at all; problems are of the others.
func look(all []Source, o *Options) (found []*source, problems []error, err error) {
	var errs []error
	for _, s := range all {
		one, err := s.look(o)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", s.Name, err))
		case one.info != nil && slices.ContainsFunc(found, func(f *source) bool { return f.info != nil && os.SameFile(f.info, one.info) }):
			problems = append(problems, fmt.Errorf("%s: the same file was given already", s.Name))
		default:
			found = append(found, one)
			if one.first == math.MaxInt64 && len(one.head) > 0 {
				problems = append(problems, fmt.Errorf("%s: no line of a log in its first %d KiB: is it one, and in plain text or UTF-8?", s.Name, headSize>>10))
			}
		}
	}
	slices.SortStableFunc(found, func(a, b *source) int {
		return cmp.Or(cmp.Compare(a.first, b.first), bytes.Compare(a.head, b.head), cmp.Compare(a.size(), b.size()))
	})
	return found, problems, errors.Join(errs...)
}

func (s *source) size() int64 {
	if s.info == nil {
		return 0
	}
	return s.info.Size()
}

// look opens a source. What is no regular file can be read only once, and stays
// open.
func (s Source) look(o *Options) (*source, error) {
	one := &source{Source: s, first: math.MaxInt64}
	if s.Stream != nil {
		return one, one.lookAt(s.Stream, o, func() {})
	}
	f, err := os.Open(s.Name)
	if err != nil {
		return nil, reason(err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = errors.New("is a directory: name the logs in it")
	case !info.Mode().IsRegular():
		if err = one.lookAt(f, o, func() { f.Close() }); err == nil {
			return one, nil
		}
	default:
		one.info = info
		err = one.lookInto(f, o)
	}
	f.Close()
	return one, reason(err)
}

// lookAt looks at a stream, and keeps what it read.
func (s *source) lookAt(stream io.Reader, o *Options, done func()) error {
	plain, at, end, err := decompressed(counted{stream, o.Progress})
	if err != nil {
		return err
	}
	s.done = func() { end(); done() }
	s.stream = bufio.NewReaderSize(plain, headSize)
	s.head, _ = s.stream.Peek(headSize) // a fault shows when it is read
	s.head = slices.Clone(s.head)
	s.learn(o, written(at, o.Now, o), 0)
	return nil
}

// lookInto looks at a file, which is opened again to be read.
func (s *source) lookInto(f *os.File, o *Options) error {
	plain, at, done, err := decompressed(f)
	if err != nil {
		return err
	}
	defer done()
	s.head = make([]byte, headSize)
	n, _ := fill(plain, s.head) // as above
	s.head = slices.Clip(s.head[:n])
	years := 0
	if _, inClear := plain.(*bufio.Reader); inClear {
		years = newYears(f, s.size())
	}
	s.learn(o, written(at, s.info.ModTime(), o), years)
	return nil
}

// written chooses what the compression says of the time of a file, if it says
// anything that can be, over what the system says.
func written(packed, system time.Time, o *Options) time.Time {
	if packed.IsZero() || packed.After(o.Now.AddDate(0, 0, 1)) {
		return system
	}
	return packed
}

// reason is an error of the system without the path, which is told already.
func reason(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// learn finds form, first time and year by the head. when is the time of the
// last line, years how many times New Year is known to lie in between.
func (s *source) learn(o *Options, when time.Time, years int) {
	start := bytes.TrimLeft(s.head, " \t\r\n")
	s.json = len(start) > 0 && start[0] == '{'
	loc := o.Location
	if loc == nil {
		loc = time.Local
	}
	when = when.In(loc)
	s.year = cmp.Or(o.Year, when.Year())
	for line := range bytes.Lines(s.head) {
		if s.json {
			if at, ok := jsonTime(line); ok {
				s.first = at
				return
			}
			continue
		}
		c := clock{loc: loc, year: when.Year()}
		at, _, ok := c.read(line)
		if !ok {
			continue
		}
		s.first, s.year = at, c.year
		if c.month == 0 { // it has a year
			return
		}
		switch {
		case o.Year != 0:
			s.year = o.Year
		case years > 0:
			s.year -= years
		case at > when.Unix()+day: // written before the New Year
			s.year--
		}
		c = clock{loc: loc, year: s.year}
		s.first, _, _ = c.read(line)
		return
	}
}

func jsonTime(line []byte) (int64, bool) {
	r, ok := readRecord(bytes.TrimRight(line, "\r\n"))
	if !ok || len(r.time) < 7 {
		return 0, false
	}
	n, used := number(r.time[:len(r.time)-6])
	if used != len(r.time)-6 { // ten digits, until 2286
		hi, used2 := number(r.time[:9])
		lo, used3 := number(r.time[9 : len(r.time)-6])
		return int64(hi)*10 + int64(lo), used2 == 9 && used3 == 1
	}
	return int64(n), used > 0
}

// newYears counts how often New Year lies between the first and the last line
// of a file whose times have no year. It looks at samples: a log of years is
// long, or has few lines.
func newYears(f io.ReaderAt, size int64) (n int) {
	const samples, sample = 4096, 512
	step := max(size/samples, sample)
	buf := make([]byte, sample)
	var c clock
	for pos := int64(0); pos < size; pos += step {
		got, _ := f.ReadAt(buf, pos)
		b := buf[:got]
		if pos > 0 {
			_, b, _ = bytes.Cut(b, newline)
		}
		if len(b) < bsdTime || b[3] != ' ' || b[6] != ' ' {
			continue
		}
		if m, ok := monthOf(b); ok {
			c.turn(m)
		}
	}
	return c.year
}
