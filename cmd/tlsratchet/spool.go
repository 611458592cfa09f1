package main

import (
	"cmp"
	"io"
	"math"
	"os"

	"tlsratchet/internal/loop"
)

// spool passes on what is written to it. The writer doesn't wait for the reader: what
// that has not read yet is in a temporary file. Else a pager would hold the lock of
// the history, and keep the daemon from starting.
type spool struct {
	to     io.Writer
	file   *os.File // nil where there is no room for one: then the writer waits
	more   chan struct{}
	passed chan error
}

func newSpool(to io.Writer) *spool {
	s := &spool{to: to, more: make(chan struct{}, 1), passed: make(chan error, 1)}
	if s.file = temporary(); s.file == nil {
		return s
	}
	go func() {
		var err error
		for in := io.NewSectionReader(s.file, 0, math.MaxInt64); err == nil; {
			_, open := <-s.more
			if _, err = io.Copy(to, in); !open {
				break
			}
		}
		s.passed <- err
	}()
	return s
}

// temporary returns a file that is gone when it is closed; nil where none can be made.
func temporary() *os.File {
	file, err := os.CreateTemp("", "tlsratchet-")
	if err != nil {
		return nil
	}
	_ = os.Remove(file.Name())
	return file
}

// Write implements [io.Writer].
func (s *spool) Write(p []byte) (n int, err error) {
	if s.file != nil {
		if n, err = s.file.Write(p); err == nil {
			loop.Wake(s.more)
			return n, nil
		}
		if err := s.end(); err != nil {
			return n, err
		}
	}
	m, err := s.to.Write(p[n:])
	return n + m, err
}

// end waits until all is passed on.
func (s *spool) end() error {
	if s.file == nil {
		return nil
	}
	close(s.more)
	err := cmp.Or(<-s.passed, s.file.Close())
	s.file = nil
	return err
}
