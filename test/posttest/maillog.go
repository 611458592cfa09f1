package posttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"
)

// Maillog is an instance's log, from some moment on.
type Maillog struct {
	path string
	from int64
}

// Log is the instance's log from its beginning, earlier starts included.
func (in *Instance) Log() Maillog { return Maillog{path: in.path("maillog")} }

// Mark returns the log from now on.
func (l Maillog) Mark() (Maillog, error) {
	info, err := os.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return Maillog{path: l.path}, nil
	}
	if err != nil {
		return l, err
	}
	return Maillog{path: l.path, from: info.Size()}, nil
}

// Lines are the complete lines that were logged; none before the first start.
func (l Maillog) Lines() ([]string, error) {
	f, err := os.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, l.from, 1<<30))
	if err != nil {
		return nil, err
	}
	text := string(b)
	text = text[:strings.LastIndexByte(text, '\n')+1]
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n"), nil
}

// Wait returns the first line that re matches, as soon as it is there. When ctx
// ends first, the error holds what was logged.
func (l Maillog) Wait(ctx context.Context, re *regexp.Regexp) (string, error) {
	var found string
	err := poll(ctx, func() (bool, error) {
		lines, err := l.Lines()
		for _, line := range lines {
			if re.MatchString(line) {
				found = line
				return true, nil
			}
		}
		return false, err
	})
	if err != nil {
		return "", l.explain(fmt.Errorf("no log line matches %q: %w", re, err))
	}
	return found, nil
}

// explain adds the end of the log to an error.
func (l Maillog) explain(err error) error {
	lines, _ := l.Lines()
	return fmt.Errorf("%w; the log ends:\n%s", err, strings.Join(lines[max(0, len(lines)-20):], "\n"))
}

// poll tries until it is done, fails, or ctx ends.
func poll(ctx context.Context, try func() (done bool, err error)) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if done, err := try(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
