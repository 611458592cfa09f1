package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"syscall"
)

// answering is the body of a daemon's answer, which may go away in the middle
// of it: that is an error, and not an end.
type answering struct {
	io.ReadCloser
	socket string
}

// Read implements [io.Reader].
func (a answering) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if isGone(err) && err != io.EOF {
		err = a.cut(err)
	}
	return n, err
}

func (a answering) cut(err error) error {
	return fmt.Errorf("the daemon on %s went away in the middle of its answer, this is not all of it: %w", a.socket, err)
}

// isGone reports whether an error means that the other end has closed.
func isGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// one reads an answer of one value.
func one[V any](body io.ReadCloser, err error) (v V, _ error) {
	if err != nil {
		return v, err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&v); err != nil {
		return v, fmt.Errorf("reading the answer: %w", err)
	}
	return v, nil
}

// many reads an answer that is a list.
func many[V any](body io.ReadCloser, err error) iter.Seq2[V, error] {
	return func(yield func(V, error) bool) {
		var none V
		if err != nil {
			yield(none, err)
			return
		}
		defer body.Close()
		for v, err := range results[V](body) {
			if !yield(v, err) {
				return
			}
		}
	}
}

// results reads a list that [Handler] wrote, whose last line may be a failure.
func results[V any](r io.Reader) iter.Seq2[V, error] {
	return func(yield func(V, error) bool) {
		for b, err := range rawLines(r, wholeLines) {
			var v V
			if err == nil {
				err = result(b, &v)
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// result reads one line: a failure's begins with its error.
func result[V any](b []byte, v *V) error {
	if !bytes.HasPrefix(b, []byte(`{"error":`)) {
		return json.Unmarshal(b, v)
	}
	var f failure
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	return f.err()
}

// wholeLines is bufio.ScanLines without the last line that has no end: it was
// cut, and its reader says why.
func wholeLines(data []byte, atEOF bool) (advance int, line []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	return 0, nil, nil
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

// remote is an error that the daemon sent as text, with its kind.
type remote struct {
	text string
	kind error
}

func (e remote) Error() string { return e.text }
func (e remote) Unwrap() error { return e.kind }
