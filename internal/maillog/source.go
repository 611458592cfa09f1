package maillog

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
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

// headSize is how much of a source is looked at before it is read.
const headSize = 1 << 16

// source is a Source that was looked at, and then is read.
type source struct {
	Source
	options *Options
	info    os.FileInfo   // of a regular file, else nil
	file    *os.File      // nil for a stream, and until open
	stream  *bufio.Reader // in clear; nil for a file that is not open
	clear   bool          // not compressed
	packed  time.Time     // of the file, if its compression keeps it
	done    func()        // closes it
	head    []byte
	form    form
	// first is the time of the first line that has one, math.MaxInt64 if none
	// has. year is the year that it begins in, for times without one; guessed is
	// true if the time of the file decided that.
	first   int64
	year    int
	guessed bool

	parser parser
	event  event  // the next one
	block  []byte // the lines so far of a record that has several
	// at is the latest time so far, before the source is read first; last is that
	// of the last event. Each time the source goes back in time a new pass begins.
	at, last int64
	pass     uint32 // 0 before it is read
	disorder bool   // it went back by more than a day
	// read counts the lines of interest that could be read.
	read int64
}

// look opens every source and puts them in the order of their first lines. The
// error is for those that cannot be read at all; problems are of the others.
func look(ctx context.Context, all []Source, o *Options) (found []*source, problems []error, err error) {
	var errs []error
	for _, one := range all {
		s := &source{Source: one, options: o}
		switch err := s.look(ctx); {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", s.Name, reason(err)))
		case s.info != nil && slices.ContainsFunc(found, func(f *source) bool { return f.info != nil && os.SameFile(f.info, s.info) }):
			problems = append(problems, fmt.Errorf("%s: the same file was given already", s.Name))
		default:
			found = append(found, s)
			if problem := s.contradicted(); problem != nil {
				problems = append(problems, problem)
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

// look opens a source and looks at its head. A file is opened again to be read;
// what is no regular file can be read only once, and stays open.
func (s *source) look(ctx context.Context) error {
	when, years, progress := s.options.Now, 0, s.options.Progress
	if s.Stream == nil {
		info, err := os.Stat(s.Name)
		if err != nil {
			return err
		}
		if info.IsDir() {
			return errors.New("is a directory: name the logs in it")
		}
		if info.Mode().IsRegular() {
			s.info, when, progress = info, info.ModTime(), new(Progress)
		}
	}
	if err := s.open(ctx, progress); err != nil {
		return err
	}
	head, _ := s.stream.Peek(headSize) // a fault shows when it is read
	s.head = slices.Clone(head)
	if s.info != nil {
		if s.clear {
			years = newYears(s.file, s.size())
		}
		s.done()
		s.stream = nil
	}
	// The time that the compression states is better than the system's, if possible.
	if !s.packed.IsZero() && !s.packed.After(s.options.Now.AddDate(0, 0, 1)) {
		when = s.packed
	}
	s.learn(when, years)
	return nil
}

// open opens the source to be read in clear.
func (s *source) open(ctx context.Context, progress *Progress) (err error) {
	in := s.Stream
	s.done = func() {}
	if in == nil {
		if s.file, err = os.Open(s.Name); err != nil {
			return err
		}
		in, s.done = s.file, func() { s.file.Close() }
	}
	plain, at, err := decompressed(input{in, ctx, progress})
	if err != nil {
		s.done()
		return err
	}
	_, s.clear = plain.(*bufio.Reader)
	s.stream, s.packed = bufio.NewReaderSize(plain, longestLine), at
	return nil
}

// reason is an error of the system without the path, which is reported already.
func reason(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}

// learn finds form, first time and year by the head. when is the time of the
// last line, years how many times New Year is known to lie in between.
func (s *source) learn(when time.Time, years int) {
	o, loc := s.options, s.options.Now.Location()
	s.form = formOf(s.head)
	when = when.In(loc)
	s.year = cmp.Or(o.Year, when.Year())
	p := parser{clock: clock{loc: loc, year: when.Year()}}
	at, yearless := p.firstTime(s.head, s.form)
	if yearless != nil {
		s.guessed = o.Year == 0
		switch {
		case o.Year != 0:
		case years > 0:
			s.year -= years
		case at > when.Unix()+day: // written before the New Year
			s.year--
		}
		p.clock = clock{loc: loc, year: s.year}
		at, _ = p.firstTime(yearless, s.form)
	}
	s.first, s.at = at, at
	s.parser.clock = clock{loc: loc, year: s.year}
}

// firstTime returns the time of the first record that has one, and that record if
// its time has no year.
func (p *parser) firstTime(head []byte, f form) (at int64, yearless []byte) {
	for _, one := range bytes.SplitAfter(head, f.end()) {
		var r record
		if p.read(one, f, &r); r.timed && r.yearless {
			return r.at, one
		} else if r.timed {
			return r.at, nil
		}
	}
	return math.MaxInt64, nil
}

// read reads a record of a form. It returns false for one of no interest.
func (p *parser) read(b []byte, f form, r *record) bool {
	switch f {
	case formExport:
		return p.exported(b, r)
	case formPretty:
		return p.object(b, r)
	}
	return p.unwrap(bytes.TrimRight(b, "\r\n"), r)
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
		if len(b) < bsdTime || b[3] != ' ' {
			continue
		}
		if t, err := time.Parse("Jan", string(b[:3])); err == nil {
			c.turn(t.Month())
		}
	}
	return c.year
}

var messageID = []byte(": message-id=<")

// contradicted compares a guessed year with the message ids that Postfix made
// itself: <20261122183615.QUEUEID@host>, in UTC.
func (s *source) contradicted() error {
	if !s.guessed {
		return nil
	}
	p := parser{clock: s.parser.clock}
	for line := range bytes.Lines(s.head) {
		before, after, ok := bytes.Cut(line, messageID)
		if !ok {
			continue
		}
		var r record
		if p.read(line, formLines, &r); !r.timed {
			continue
		}
		id := before[bytes.LastIndexByte(before, ' ')+1:]
		stamp, rest, _ := bytes.Cut(after, []byte("."))
		made, err := time.Parse("20060102150405", string(stamp))
		if err != nil || !bytes.HasPrefix(rest, append(id[:len(id):len(id)], '@')) {
			continue
		}
		if made.Sub(time.Unix(r.at, 0)).Abs() > 2*24*time.Hour {
			return fmt.Errorf("%s: its times have no year and were read as of %d, but a message id in it is of %d: use --year", s.Name, s.year, made.Year())
		}
	}
	return nil
}
