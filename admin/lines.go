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
		for b, err := range rawLines(r) {
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
	if err := d.Decode(l); err != nil {
		return fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return nil
}

func rawLines(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		s := bufio.NewScanner(r)
		s.Buffer(make([]byte, 4096), maxLine)
		for s.Scan() {
			if b := bytes.TrimSpace(s.Bytes()); len(b) > 0 && !yield(b, nil) {
				return
			}
		}
		if err := s.Err(); err != nil {
			yield(nil, fmt.Errorf("%w: %w", ErrBadRequest, err))
		}
	}
}

// results reads a list that [Handler] wrote, whose last line may be a failure.
func results[V any](r io.Reader) iter.Seq2[V, error] {
	return func(yield func(V, error) bool) {
		for b, err := range rawLines(r) {
			var one struct {
				failure
				value V
			}
			if err == nil {
				err = json.Unmarshal(b, &one.failure)
			}
			if err == nil && one.Error != "" {
				err = one.failure.err()
			}
			if err == nil {
				err = json.Unmarshal(b, &one.value)
			}
			if !yield(one.value, err) || err != nil {
				return
			}
		}
	}
}

// err is the inverse of describe.
func (f failure) err() error {
	switch f.Kind {
	case kindUnknown:
		return remote{f.Error, ErrUnknownPeer}
	case kindRequest:
		return remote{f.Error, ErrBadRequest}
	}
	return errors.New(f.Error)
}

// remote is an error that the daemon told in words, and its kind.
type remote struct {
	text string
	kind error
}

func (e remote) Error() string { return e.text }
func (e remote) Unwrap() error { return e.kind }
