package admin

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// maxLine is the longest line of an import, in bytes; a whole history has about
// a thousand.
const maxLine = 64 << 10

// Lines reads an export: one JSON object a line, empty lines left out and not
// counted. It ends with the first line that can't be read.
func Lines(r io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		n := 0
		for b, err := range rawLines(r, bufio.ScanLines) {
			var l Line
			n++
			if err == nil {
				err = strict(b, &l)
			}
			if err != nil {
				err = fmt.Errorf("line %d: %w", n, err)
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

func strict(b []byte, l *Line) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(l)
	if err == nil && d.InputOffset() < int64(len(b)) {
		err = errors.New("more than one object")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return nil
}

// rawLines splits into lines, empty ones left out. A line that is too long is
// the sender's mistake; what else can't be read isn't.
func rawLines(r io.Reader, split bufio.SplitFunc) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		s := bufio.NewScanner(r)
		s.Buffer(make([]byte, 4096), maxLine)
		s.Split(split)
		for s.Scan() {
			if b := bytes.TrimSpace(s.Bytes()); len(b) > 0 && !yield(b, nil) {
				return
			}
		}
		err := s.Err()
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("%w: longer than %d bytes", ErrBadRequest, maxLine)
		}
		if err != nil {
			yield(nil, err)
		}
	}
}
